-- preview: (no job moves)
-- Counts a chunk of the live jobs that a selector asks for, by owner, kind and
-- state. It changes nothing.
-- KEYS:    live
-- READS:   gate meta
-- MAKES:   job
-- ARGV:    selector after limit
-- REPLY:   counted
-- INCLUDE: gate record selected time
-- spending: micro-USD a minute that a running job has spent since it was
-- accepted; younger than a minute counts as one.
local function spending(id, r)
  if r.state ~= 'running' then return 0 end
  local since = tonumber(redis.call('HGET', P.job .. id, 'created_at') or now())
  return (tonumber(r.spent) or 0) / math.max((tonumber(now()) - since) / 60000000, 1)
end

local sel = cjson.decode(A.selector)
local ids = redis.call('ZRANGEBYSCORE', K.live, '(' .. A.after, '+inf', 'WITHSCORES', 'LIMIT', 0, A.limit)
local groups, order, before = {}, {}, 0
for i = 1, #ids, 2 do
  local r = record(P.job .. ids[i])
  if r and selected(sel, ids[i], r) then
    if covering(r) then
      before = before + 1
    else
      local name = r.owner .. '\n' .. (r.kind or '') .. '\n' .. r.state
      local g = groups[name]
      if not g then
        g = { r.owner, r.kind or '', r.state, 0, 0, 0 }
        groups[name], order[#order + 1] = g, g
      end
      g[4], g[5], g[6] = g[4] + 1, g[5] + (tonumber(r.spent) or 0), g[6] + spending(ids[i], r)
    end
  end
end
local full = #ids / 2 >= tonumber(A.limit)
local out = { 'counted', full and ids[#ids] or 'end', #ids / 2, before }
for _, g in ipairs(order) do
  for k = 4, 6 do g[k] = string.format('%d', g[k]) end
  out[#out + 1] = g
end
return out
