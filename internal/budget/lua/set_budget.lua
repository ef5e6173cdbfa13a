-- set_budget: (no job moves)
-- Sets the limits of an owner, or those of the fleet under the name '*'; empty
-- takes them away. They hold from this instant. It is how spend is stopped, too,
-- so a full Redis must not stop it.
-- KEYS:    caps audit audit_n
-- ARGV:    name limits reason who
-- REPLY:   set
-- FLAGS:   allow-oom
-- INCLUDE: audit
local before, fleet = redis.call('HGET', K.caps, A.name) or '', A.name == '*'
if A.limits == '' then
  redis.call('HDEL', K.caps, A.name)
else
  redis.call('HSET', K.caps, A.name, A.limits)
end
audit(now(), 'budget-set', 'allowed', 'rule', before == A.limits and 'already' or '', 'who', A.who,
  'scope', fleet and 'fleet' or 'owner', 'owner', fleet and '' or A.name, 'before', before, 'limits', A.limits, 'reason', A.reason)
return { 'set', before }
