-- checkpoint: running -> running
-- Makes a state durable under a valid claim; the last `keep` are kept. Progress
-- resets the counted attempts. A lower number than the last accepted is refused.
-- A state that is kept outside Redis is at `place` (a space, its size, a space, its
-- name) and not in `data`. The answer has the places of those that are no longer kept.
-- KEYS:    checkpoints
-- MAKES:   job
-- ARGV:    id worker epoch seq node sum data keep place
-- REPLY:   saved stale lost
-- INCLUDE: time record
local k = P.job .. A.id
local r = record(k)
if not holds(r, A.worker, A.epoch) then return { 'lost' } end
local last = redis.call('HMGET', k, 'checkpoint', 'checkpoint_sum')
local n = tonumber(last[1] or '0')
if tonumber(A.seq) == n and last[2] == A.sum then return { 'saved' } end
if tonumber(A.seq) <= n then return { 'stale', last[1] or '0' } end
redis.call('HSET', K.checkpoints, A.seq, A.sum .. ' ' .. A.node .. ' ' .. now() .. ' ' .. string.format('%d', r.grants) .. A.place .. '\n' .. A.data)
local kept, out = redis.call('HKEYS', K.checkpoints), { 'saved' }
if #kept > tonumber(A.keep) then
  table.sort(kept, function(a, b) return tonumber(a) < tonumber(b) end)
  for i = 1, #kept - tonumber(A.keep) do
    out[#out + 1] = string.match(redis.call('HGET', K.checkpoints, kept[i]), '^%S+ %S+ %S+ %S+ %S+ (%S+)\n')
    redis.call('HDEL', K.checkpoints, kept[i])
  end
end
redis.call('HSET', k, 'checkpoint', A.seq, 'checkpoint_sum', A.sum, 'attempts', '0', 'losses', '0')
return out
