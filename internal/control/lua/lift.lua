-- lift: (no job moves yet)
-- Lifts a standing order, if the gate's head is still the one the caller saw.
-- The jobs it had benched are brought back by `unbench`. In a partition that has
-- not taken the order it leaves word, so that it is not completed there later;
-- its home partition knows whether there is such an order at all. One that another
-- act has lifted is lifted, and the audit has who wanted it too, each act once.
-- KEYS:    order open_orders gate audit audit_n meta
-- READS:   seq
-- ARGV:    id home seen actor reason mark who
-- REPLY:   lifted stale unknown
-- FLAGS:   allow-oom
-- INCLUDE: gate audit gate_head
local o = redis.call('HMGET', K.order, 'scope', 'lifted_at', 'stale', 'lift_marks')
local head, t = gate().number, now()
local function note(decision, why)
  audit(t, 'lift', decision, 'rule', why, 'who', A.who, 'scope', 'block', 'reason', A.reason, 'order', A.id)
end
if o[1] and o[1] ~= 'block' or not o[1] and A.home == '1' then
  note('denied', 'unknown')
  return { 'unknown' }
end
if o[2] then
  local marks = o[4] or ''
  if not string.find(marks, A.mark .. ' ', 1, true) then
    redis.call('HSET', K.order, 'lift_marks', A.mark .. ' ' .. string.sub(marks, 1, 1000))
    note('allowed', 'already')
  end
  return { 'lifted', o[2], head }
end
if o[3] == A.mark .. ' ' .. A.seen then return { 'stale', head } end
if head ~= A.seen then
  if o[1] then redis.call('HSET', K.order, 'stale', A.mark .. ' ' .. A.seen) end
  note('denied', 'stale')
  return { 'stale', head }
end
local rest = {}
for _, rule in ipairs(gate().rules) do
  if rule.order ~= A.id then rest[#rest + 1] = rule end
end
redis.call('HSET', K.gate, 'rules', #rest > 0 and cjson.encode(rest) or '')
redis.call('HSET', K.order, 'id', A.id, 'scope', 'block', 'lifted_at', t, 'lifted_by', A.actor, 'lift_reason', A.reason, 'lift_marks', A.mark .. ' ',
  'scan', '0', 'h', redis.call('GET', K.seq) or '0')
redis.call('SADD', K.open_orders, A.id)
note('allowed', '')
return { 'lifted', t, new_head(A.mark) }
