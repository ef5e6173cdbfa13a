-- breaker: (no job moves)
-- Looks at what the fleet burns, on its first partition, and says what the
-- breaker is: closed; tripping, and then whoever asks has to see the trip
-- through and come back with `done`; or tripped. A trip has a name, so that all
-- dispatchers see the same one through, and what it was for stays as it was.
-- It closes again once the gate is open and the burn is down to 70 % of the limit
-- or a minute has passed: what was burnt before the thaw counts for so long.
-- `whole` is empty when a partition did not say what it burns.
-- KEYS:    money audit audit_n
-- READS:   gate meta
-- ARGV:    burn limit mode whole done mark reason who
-- REPLY:   closed tripping tripped
-- FLAGS:   allow-oom
-- INCLUDE: gate audit
local m = redis.call('HMGET', K.money, 'breaker', 'trip', 'trip_mode', 'trip_reason', 'at', 'open_since')
local state, trip = m[1] or '', m[2] or ''
local frozen = gate().frozen
local function note(rule, mode, reason)
  audit(now(), 'breaker', 'allowed', 'rule', rule, 'who', A.who, 'scope', 'fleet', 'mode', mode, 'burn', A.burn, 'limit', A.limit, 'reason', reason)
end
redis.call('HSET', K.money, 'burn', A.burn)
if state == '' then
  if A.mode == '' or A.limit == '' or tonumber(A.burn) <= tonumber(A.limit) then return { 'closed' } end
  state, trip = 'tripping', string.format('%d', tonumber(string.match(trip, '^%d+') or '0') + 1) .. '.' .. A.mark
  m[3], m[4] = A.mode, A.reason
  redis.call('HSET', K.money, 'breaker', state, 'trip', trip, 'trip_mode', A.mode, 'trip_reason', A.reason, 'tripped_at', now())
  redis.call('HDEL', K.money, 'open_since')
  note('tripped', A.mode, A.reason)
  return { 'tripping', trip, A.mode, A.reason, 'first' }
end
if state == 'tripping' and A.done ~= trip then return { 'tripping', trip, m[3], m[4], '' } end
if state == 'tripping' then redis.call('HSET', K.money, 'breaker', 'tripped') end
if frozen or A.done ~= '' then
  redis.call('HDEL', K.money, 'open_since')
  return { 'tripped', trip }
end
local at = tonumber(m[5] or '0')
local since = tonumber(m[6] or '') or at
if not m[6] then redis.call('HSET', K.money, 'open_since', string.format('%d', at)) end
local low = A.limit == '' or A.mode == '' or A.whole ~= '' and tonumber(A.burn) * 10 <= tonumber(A.limit) * 7
if not low and at - since < 60000000 then return { 'tripped', trip } end
redis.call('HDEL', K.money, 'breaker', 'open_since')
note('closed', m[3] or '', '')
return { 'closed' }
