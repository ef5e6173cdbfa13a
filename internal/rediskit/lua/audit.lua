-- audit: one entry, numbered without gaps, in the same script as the act. It gives
-- the number.
-- INCLUDE: time
local function audit(t, act, decision, ...)
  local n = redis.call('INCR', K.audit_n)
  redis.call('XADD', K.audit, '*', 'n', n, 'at', t, 'act', act, 'decision', decision, ...)
  return n
end
