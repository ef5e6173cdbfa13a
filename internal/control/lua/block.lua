-- block: (no job moves)
-- A standing order: from this instant what it is on is neither admitted nor
-- granted, until it is lifted. It asks for no head of the gate: a late packet
-- stops too much and never too little. Standing orders are the first of the
-- gate's rules, for a horizon takes its place among horizons. `pending` says
-- that other partitions have yet to take it.
-- KEYS:    order open_orders gate audit audit_n meta
-- ARGV:    id on label value actor reason incident mark who limit pending
-- REPLY:   blocked full
-- FLAGS:   allow-oom
-- INCLUDE: gate audit gate_head
local function done()
  local o = redis.call('HMGET', K.order, 'at', 'lifted_at')
  return { 'blocked', o[1] or '', o[2] or '', redis.call('HGET', K.gate, 'number') or '' }
end
if redis.call('EXISTS', K.order) == 1 then return done() end
local rules, t, place = gate().rules, now(), 1
local function note(decision, why)
  audit(t, 'block', decision, 'rule', why, 'who', A.who, 'scope', 'block', 'on', A.on, 'label', A.label, 'value', A.value,
    'reason', A.reason, 'incident', A.incident, 'order', A.id)
end
while rules[place] and rules[place].rule == 'block' do place = place + 1 end
if A.limit ~= '' and place > tonumber(A.limit) then
  note('denied', 'full')
  return { 'full' }
end
table.insert(rules, place, { rule = 'block', order = A.id, on = A.on, label = A.label, value = A.value, at = t,
  actor = A.actor, reason = A.reason, incident = A.incident })
redis.call('HSET', K.gate, 'rules', cjson.encode(rules))
redis.call('HSET', K.order, 'id', A.id, 'scope', 'block', 'on', A.on, 'label', A.label, 'value', A.value, 'actor', A.actor,
  'reason', A.reason, 'incident', A.incident, 'at', t, 'who', A.who)
if A.pending == '1' then redis.call('SADD', K.open_orders, A.id) end
new_head(A.mark)
note('allowed', '')
return done()
