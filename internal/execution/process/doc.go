// Package process runs a job as a program: Python, JavaScript, a shell script,
// anything that reads and writes lines. One job, one process.
//
// It is not the deliberation and not a sandbox: the program is its operator's
// choice and has the worker's rights. It knows no Redis, no lease and no order,
// only the job's context and its cause.
//
// # The protocol, gavel-exec/1
//
// One JSON object a line, at most 1 MiB, UTF-8, named by "msg". The program
// reads stdin and writes stdout; its stderr goes to the log.
//
//	program says                                worker says
//	hello {protocol, features}         within 10 s, before all else
//	                                            start {job, owner, kind, labels, attempt, deadline, budget, dir, input | input_file, transcript, checkpoint}
//	                                            input {answers}      right after start, when there are any
//	event {seq, type, audience, data}
//	progress {}
//	reserve {call_id, model, max_micro_usd}     grant {call_id} | deny {call_id, reason, detail}
//	usage {call_id, model, input_tokens, output_tokens, cost_micro_usd, estimated,
//	       messages, reply, refusal, finish, error}
//	checkpoint {seq, node, safe, codec, sha256, data | file}
//	                                            checkpoint_ack {seq, stored}
//	need_input {questions}                      cancel {cause: input}
//	result {data}                      then exit 0
//	error {class, message}             then exit
//	                                            cancel {cause, mode, grace_ms}
//
// A grant is for one call, now: it is written at once after the permit's check,
// and one that was not used within a quarter of a second must not be. A deny
// gives as reason budget, cancelled, unavailable or refused. What a program does
// not settle is booked as an estimate.
//
// With transcript in start the job's input asks for its calls to be kept: the
// program tells with usage what was asked (messages, a list of {role, text}), what
// came back (reply, refusal, finish) or why nothing did (error). Without it these
// are ignored. What passes the bound of a transcript is left out.
//
// A checkpoint is data as its codec says (json, the default; text; base64; any
// other word is a string that nobody looks into) or a file in dir, which may be
// larger than a line. It comes back in start with the same codec, and as a file
// when it is large. With safe false it is acknowledged and not kept. The sha256
// is of the state's bytes; without file it may be left out.
//
// The modes of cancel are stop, checkpoint (save what there is) and synthesize
// (finish with what there is); none may pay any more. Messages with an unknown
// msg are ignored on both sides. A program exits when its stdin ends: its worker
// is dead.
//
// # How an attempt ends
//
//	hello? ─▶ start ─▶ talk ─▶ last word ─▶ exit ─▶ sweep ─▶ verdict
//	            cancel ─▶ SIGTERM to the group ─▶ SIGKILL to the group ─┘
//
//	result and exit 0                       the result, also when it comes too late
//	the job's context ended                 its cause
//	no hello; stdin left unread             retryable
//	three bad lines; another protocol; a    failed
//	  checkpoint that cannot be taken
//	need_input; a reserve without money     parked
//	error                                   by its class: retryable, budget (parked), permanent, cancelled (failed)
//	exit 75; any other exit; no result      retryable
//
// # Invariants
//
//   - When Execute returns, no process of the job is left: not in its group, not
//     in another session (Linux only). They are known by their session, their
//     parents, and a variable that all of them inherit. One that has lost all of
//     these is nobody's any more when every other program that runs is younger.
//   - The program is signalled while its pid cannot be another's: it is reaped
//     only after the sweep.
//   - The program dies with its worker. What it had started, and does not mind its
//     stdin, is ended by the next executor that is made on the machine.
//   - Events are dropped and counted when the program writes them faster than they
//     are kept; nothing else is. The drops are told as an event, events.dropped.
//   - Nothing the program does can block a cancel: not a full pipe, not a Redis
//     out of reach.
//
// Two words of caution. On Linux the worker becomes the parent of all orphans of
// its descendants: have one executor in a process, and no other code in it that
// starts a child in a session of its own, for that one would be taken for a
// stray. And a paid call that the program has been granted is cut when the
// program is, not before.
//
// # Files
//
//	config.go      settings, and how a program is found
//	executor.go    one attempt, and the verdict on it
//	attempt.go     supervising one program; the ladder
//	spawn.go       starting it, from one OS thread
//	kin_linux.go   all that came from it: marks, looks, the sweep
//	kin_unix.go    what is left of that elsewhere: the process group
//	kin_other.go   and where there are no groups: the program alone
//	talk.go        the conversation
//	pay.go         its money: reserve, grant, usage
//	message.go     the lines
//	lines.go       reading, logging and writing lines
//	checkpoint.go  the job's directory, and states in and out
package process
