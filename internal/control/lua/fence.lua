-- fence: running -> killed
-- For jobs under an order only: their lease was watched to stand still for T, so
-- nobody holds authority over them. Dispatchers do this without any worker; it
-- never puts a job on the road. Leases under no order are left, so a caller goes
-- on behind them: it skips those it has seen and that are still there.
-- KEYS:    live leases road later alive over reapers holding
-- READS:   gate money meta
-- MAKES:   job events tally held calls reserved minute day window
-- ARGV:    reaper nonce run_id before skip limit
-- REPLY:   fenced other_server
-- FLAGS:   allow-oom
-- INCLUDE: run_id reaper over record
if run_id() ~= A.run_id or not watches(A.reaper, A.nonce) then return { 'other_server' } end
local ids = redis.call('ZRANGEBYSCORE', K.leases, '-inf', '(' .. A.before, 'LIMIT', A.skip, A.limit)
local out = { 'fenced', #ids }
for _, id in ipairs(ids) do
  local r = record(P.job .. id)
  local order = r and r.state == 'running' and covering(r)
  if order then
    kill(id, r, order, 'fenced', now(), 'epoch', '')
    out[#out + 1] = { id, r.worker or '', order.id }
  end
end
return out
