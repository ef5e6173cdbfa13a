-- preview: (no job moves)
-- Counts a chunk of the live jobs that a selector asks for, by owner, kind and
-- state. It changes nothing.
-- KEYS:    live
-- READS:   gate
-- MAKES:   job
-- ARGV:    selector after limit
-- REPLY:   counted
-- INCLUDE: gate record selected
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
        g = { r.owner, r.kind or '', r.state, 0, 0 }
        groups[name], order[#order + 1] = g, g
      end
      g[4], g[5] = g[4] + 1, g[5] + (tonumber(r.spent) or 0)
    end
  end
end
local full = #ids / 2 >= tonumber(A.limit)
local out = { 'counted', full and ids[#ids] or 'end', #ids / 2, before }
for _, g in ipairs(order) do
  g[4], g[5] = string.format('%d', g[4]), string.format('%d', g[5])
  out[#out + 1] = g
end
return out
