-- sweep: queued | parked | delayed | held -> killed
-- Books the verdicts behind a horizon, a few jobs per call, also while frozen.
-- Nothing behind it can start anyway: this is bookkeeping. When nobody holds
-- authority any more and all is booked, the order is quiesced and its horizon
-- leaves the gate.
-- KEYS:    order open_orders live leases road later alive over gate
-- MAKES:   job events alive_of tally held calls reserved
-- ARGV:    id limit
-- REPLY:   more waiting quiesced unknown
-- FLAGS:   allow-oom
-- INCLUDE: over record
local o = redis.call('HMGET', K.order, 'scope', 'h', 'cursor', 'quiesced_at')
if not o[1] then return { 'unknown' } end
if o[4] then return { 'quiesced', o[4] } end
local t, rules = now(), gate().rules
if o[1] ~= 'job' and o[3] ~= 'end' then
  local ids = redis.call('ZRANGEBYSCORE', K.live, '(' .. o[3], o[2], 'WITHSCORES', 'LIMIT', 0, A.limit)
  for i = 1, #ids, 2 do
    local r = record(P.job .. ids[i])
    local order = r and r.state ~= 'running' and covering(r)
    if order then kill(ids[i], r, order, 'not_running', t) end
  end
  local full = #ids / 2 >= tonumber(A.limit)
  redis.call('HSET', K.order, 'cursor', full and ids[#ids] or 'end')
  if full then return { 'more', ids[#ids] } end
end
local n = redis.call('HMGET', P.tally .. A.id, 'waiting', 'unbooked')
if tonumber(n[1] or '0') > 0 then return { 'waiting', n[1] } end
if tonumber(n[2] or '0') > 0 and o[3] == 'end' then
  redis.call('HSET', K.order, 'cursor', '0')
  return { 'more', '0' }
end
if tonumber(n[2] or '0') > 0 then return { 'more', 'end' } end
redis.call('HSET', K.order, 'quiesced_at', t)
redis.call('SREM', K.open_orders, A.id)
local rest = {}
for _, rule in ipairs(rules) do
  if rule.order ~= A.id then rest[#rest + 1] = rule end
end
redis.call('HSET', K.gate, 'rules', #rest > 0 and cjson.encode(rest) or '')
return { 'quiesced', t }
