-- revoke_key: (no job moves)
-- Takes a key out. A retry finds it gone and the mark of its own act.
-- KEYS:    keys keys_used audit audit_n
-- ARGV:    id mark who reason
-- REPLY:   revoked unknown
-- FLAGS:   allow-oom
-- INCLUDE: audit
local gone = 0
if A.id ~= 'version' and A.id ~= 'revoked' then gone = redis.call('HDEL', K.keys, A.id) end
if gone == 0 and redis.call('HGET', K.keys, 'revoked') == A.mark then return { 'revoked' } end
local t = now()
local function note(decision, rule)
  audit(t, 'key-revoke', decision, 'rule', rule, 'who', A.who, 'scope', 'key', 'key', A.id, 'reason', A.reason)
end
if gone == 0 then
  note('denied', 'unknown')
  return { 'unknown' }
end
redis.call('HDEL', K.keys_used, A.id)
redis.call('HINCRBY', K.keys, 'version', 1)
redis.call('HSET', K.keys, 'revoked', A.mark)
note('allowed', '')
return { 'revoked' }
