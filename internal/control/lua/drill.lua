-- drill: (no job moves)
-- Writes down what a kill drill came to, once per request, so that the audit
-- proves when the fleet was last seen to stop, and how fast. The canaries were
-- killed by orders of their own.
-- KEYS:    idem audit audit_n
-- ARGV:    who reason incident passed canaries stopped workers reached slowest slowest_us job selector
-- REPLY:   noted
-- FLAGS:   allow-oom
-- INCLUDE: audit
if redis.call('EXISTS', K.idem) == 1 then return { 'noted' } end
redis.call('SET', K.idem, 'drill', 'EX', '3600')
audit(now(), 'drill', 'allowed', 'who', A.who, 'scope', 'fleet', 'reason', A.reason, 'incident', A.incident, 'passed', A.passed,
  'canaries', A.canaries, 'stopped', A.stopped, 'workers', A.workers, 'reached', A.reached, 'slowest', A.slowest, 'slowest_us', A.slowest_us,
  'job_us', A.job, 'selector_us', A.selector)
return { 'noted' }
