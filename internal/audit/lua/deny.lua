-- deny: (no job moves)
-- A control act that was refused at the door leaves its entry all the same.
-- KEYS:    audit audit_n
-- ARGV:    act rule who scope subject reason incident
-- REPLY:   noted
-- FLAGS:   allow-oom
-- INCLUDE: audit
audit(now(), A.act, 'denied', 'rule', A.rule, 'who', A.who, 'scope', A.scope, 'subject', A.subject, 'reason', A.reason, 'incident', A.incident)
return { 'noted' }
