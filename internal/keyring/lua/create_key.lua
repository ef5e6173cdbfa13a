-- create_key: (no job moves)
-- Stores a key by its hash. The same id again is a retry whose answer was lost,
-- and its secret with it: it is said, and nothing changes.
-- KEYS:    keys audit audit_n
-- ARGV:    id row limit who subject owner roles
-- REPLY:   created exists full
-- FLAGS:   allow-oom
-- INCLUDE: audit
if redis.call('HGET', K.keys, A.id) then return { 'exists' } end
local t = now()
local function note(decision, rule)
  audit(t, 'key-create', decision, 'rule', rule, 'who', A.who, 'scope', 'key', 'key', A.id, 'subject', A.subject, 'owner', A.owner, 'roles', A.roles)
end
if redis.call('HLEN', K.keys) >= tonumber(A.limit) then
  note('denied', 'full')
  return { 'full' }
end
redis.call('HSET', K.keys, A.id, A.row)
redis.call('HINCRBY', K.keys, 'version', 1)
note('allowed', '')
return { 'created' }
