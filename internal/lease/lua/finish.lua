-- finish: running -> succeeded | failed | killed
-- Ends a job under its claim. Once an order stands the only outcome is killed,
-- and a result that comes late is kept for post-mortem. This write is also the
-- confirmation of the kill, and answers with the order, when it was recorded and
-- Redis's time: how long the kill took; and with the trace the order belongs to.
-- KEYS:    live leases road later alive over holding
-- READS:   gate money meta
-- MAKES:   job events tally held calls reserved minute day window
-- ARGV:    id worker epoch outcome cause result error delivered cancelled returned
-- REPLY:   over killed lost
-- FLAGS:   allow-oom
-- INCLUDE: over record
local r = record(P.job .. A.id)
local before = ended(r, A.worker, A.epoch, 'over killed')
if before then return before end
if not holds(r, A.worker, A.epoch) then return { 'lost' } end
local t = now()
local order = covering(r)
if order then
  local function ago(us) return us == '' and '' or string.format('%d', tonumber(t) - tonumber(us)) end
  kill(A.id, r, order, 'stopped', t, 'late_result', A.result, 'error', A.error,
    'delivered_at', ago(A.delivered), 'cancelled_at', ago(A.cancelled), 'returned_at', ago(A.returned),
    'last_end', claim_end(r, 'killed', order.id))
  return { 'killed', order.id, order.at, t, order.trace }
end
moved(r.owner, 'running', nil)
over(A.id, r, A.outcome, t, { cause = A.cause }, 'cause', A.cause, 'result', A.result, 'error', A.error,
  'last_end', claim_end(r, 'over', A.outcome))
return { 'over', A.outcome }
