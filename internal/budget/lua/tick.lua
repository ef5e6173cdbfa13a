-- tick: (no job moves)
-- Pushes the money's clock on, never back, and tells the burn: what was booked
-- in this minute and the one before, and what is set aside. It also keeps the
-- settings that scripts read, and lets old buckets go. `own` is the fleet's own
-- cap as its first partition has it, for the others; '-' leaves it as it is.
-- KEYS:    money caps
-- READS:   holding
-- MAKES:   minute day window
-- ARGV:    now length cap running fleet mode limit shares own
-- REPLY:   at
-- FLAGS:   allow-oom
local m = redis.call('HMGET', K.money, 'at', 'minutes', 'days', 'windows', 'length')
local at = math.max(tonumber(A.now), tonumber(m[1] or '0'))
local length = tonumber(A.length)
local function number(n) return string.format('%d', n) end
local minute, day = math.floor(at / 60000000), math.floor(at / 86400000000)
if not m[1] then redis.call('UNLINK', P.minute .. '0', P.day .. '0', P.window .. '0') end

-- prune: buckets exist only where the clock has been, so a pointer to the oldest
-- finds them all, also after a long absence.
local function prune(prefix, oldest, newest, keep)
  local from = tonumber(oldest or '') or newest
  local to = math.min(newest - keep, from + 200)
  for n = from, to - 1 do redis.call('UNLINK', prefix .. number(n)) end
  return number(math.max(from, to))
end
local windows, start = {}, number(at - at % length)
for w in string.gmatch(m[4] or '', '%S+') do windows[#windows + 1] = w end
if windows[#windows] ~= start then windows[#windows + 1] = start end
while #windows > 3 do redis.call('UNLINK', P.window .. table.remove(windows, 1)) end

redis.call('HSET', K.money, 'at', number(at), 'length', A.length, 'windows', table.concat(windows, ' '),
  'minutes', prune(P.minute, m[2], minute, 125), 'days', prune(P.day, m[3], day, 35))
for name, value in pairs({ cap = A.cap, running = A.running, fleet = A.fleet, mode = A.mode, limit = A.limit, shares = A.shares }) do
  if value == '' then redis.call('HDEL', K.money, name) else redis.call('HSET', K.money, name, value) end
end
if A.own == '' then
  redis.call('HDEL', K.caps, '*')
elseif A.own ~= '-' then
  redis.call('HSET', K.caps, '*', A.own)
end
return { 'at', number(at), redis.call('HGET', P.minute .. number(minute), 'total') or '0',
  redis.call('HGET', P.minute .. number(minute - 1), 'total') or '0', redis.call('HGET', K.holding, 'total') or '0' }
