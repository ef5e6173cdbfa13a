-- sweep: queued | parked | delayed | held -> killed
-- Books the verdicts behind a horizon, a few jobs per call, also while frozen.
-- Nothing behind it can start anyway: this is bookkeeping. The order is quiesced,
-- and its horizon leaves the gate, when nobody is waited for and a walk over all
-- that lives behind it met nobody who holds a job: the counters alone, after
-- lost data, would neither let it go nor hold it surely. What another script has
-- to do first is answered with `waiting` and its word: `scan` for a selector
-- order, `block` for a standing one; `others` when the caller keeps an order that
-- is over here, because it is not known to be in every partition.
-- KEYS:    order open_orders live leases road later alive over gate holding
-- READS:   money meta
-- MAKES:   job events tally held calls reserved minute day window
-- ARGV:    id limit keep
-- REPLY:   more waiting quiesced unknown
-- FLAGS:   allow-oom
-- INCLUDE: over record
local o = redis.call('HMGET', K.order, 'scope', 'h', 'cursor', 'quiesced_at', 'held', 'scan')
if not o[1] then return { 'unknown' } end
if o[1] == 'block' then return { 'waiting', 'block' } end
if o[4] then return { 'quiesced', o[4] } end
if o[6] and o[6] ~= 'end' then return { 'waiting', 'scan' } end
local t, rules = now(), gate().rules
local waiting = tonumber(redis.call('HGET', P.tally .. A.id, 'waiting') or '0')
if A.keep == '1' and o[3] == 'end' and waiting <= 0 then return { 'waiting', 'others' } end
if o[1] ~= 'job' and (o[3] ~= 'end' or waiting <= 0) then
  local from, held = o[3], tonumber(o[5] or '0')
  if from == 'end' then from, held = '0', 0 end
  local ids = redis.call('ZRANGEBYSCORE', K.live, '(' .. from, o[2], 'WITHSCORES', 'LIMIT', 0, A.limit)
  for i = 1, #ids, 2 do
    local r = record(P.job .. ids[i])
    local order = r and covering(r)
    if order and r.state == 'running' then
      if order.id == A.id then held = held + 1 end
    elseif order then
      kill(ids[i], r, order, 'not_running', t)
    end
  end
  local full = #ids / 2 >= tonumber(A.limit)
  redis.call('HSET', K.order, 'cursor', full and ids[#ids] or 'end', 'held', string.format('%d', held))
  if full then return { 'more', ids[#ids] } end
  if held > 0 then return { 'waiting', held } end
end
if waiting > 0 then return { 'waiting', waiting } end
if A.keep == '1' then return { 'waiting', 'others' } end
redis.call('HSET', K.order, 'quiesced_at', t)
redis.call('SREM', K.open_orders, A.id)
local rest = {}
for _, rule in ipairs(rules) do
  if rule.order ~= A.id then rest[#rest + 1] = rule end
end
redis.call('HSET', K.gate, 'rules', #rest > 0 and cjson.encode(rest) or '')
return { 'quiesced', t }
