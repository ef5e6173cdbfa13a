/*
 * lease.pml: one job, two workers, a reaper, a dispatcher, people, and a Redis
 * that executes one script at a time. It mirrors the Lua scripts transition by
 * transition; README.md beside it says what is checked, what is left out and
 * how large the runs are.
 *
 * Each MOVE comment names a script and an allowed move. A test holds them to
 * job.Moves(), so a move that the product gets and this model lacks is loud.
 *
 * A request is executed when it is sent; its reply may come at any later time,
 * or be lost, and then the request is sent again. A request that is slow on its
 * way there is a worker that was slow to send it.
 */

#ifndef T
#define T 3            /* ticks a lease must be watched standing still */
#endif
#ifndef S
#define S 2            /* ticks a worker trusts its last good send */
#endif
#define P 1            /* ticks a permit is good for, from its send */
#ifndef GRANTS
#define GRANTS 2       /* how often the job may be granted */
#endif
#ifndef LOSSES
#define LOSSES 1       /* replies that may be lost */
#endif
#ifndef CRASHES
#define CRASHES 1      /* workers that may die */
#endif
#ifndef BACKS
#define BACKS 1        /* ways back: park, retry, drain */
#endif
#ifndef RESTARTS
#define RESTARTS 1     /* restarts of Redis: its run_id is another then */
#endif
#ifndef BLOCKS
#define BLOCKS 1       /* standing orders issued */
#endif
#ifndef TURNS
#define TURNS 1        /* times the job waits behind its owner's cap */
#endif

mtype = { queued, running, parked, delayed, held, succeeded, failed, killed };
mtype = { none, grant, reserve, finish, retry, release, park };
mtype = { nothing, ok, lost, kill };

/* ---- Redis: what the scripts decide on ---- */

mtype state = queued;
byte holder = 0, epoch = 0;  /* the claim; 0 is nobody's */
byte grants = 0;             /* epochs given: they only grow */
bool ordered = false;        /* an order on the record, or a horizon over it */
bool blocked = false;        /* a standing order */
byte last_end = 0;           /* the epoch that ended, to answer its retry */
byte commits = 0;            /* outcomes written */
byte backs = 0;

/* the sample of the beat that reaper and dispatcher work with */
bool sampled = false;
byte sample_age = 0;         /* ticks since its reply was received, up to T */
bool fresh = false;          /* the lease's score is not below the sample */

/* ---- the workers, 1 and 2 ---- */

byte believes[3];            /* the epoch it thinks it holds; 0 is none */
byte trust_age[3];           /* ticks since the send of the last good renewal */
bool heard[3];               /* of the kill */
bool shut[3];                /* its work has returned: it calls no more */
bool dead[3];
mtype asked[3] = none;       /* the runner's request that has no reply yet */
mtype told[3] = nothing;     /* the reply, on its way */
byte given[3];               /* the epoch in a grant's reply */
byte ask_age[3];             /* ticks since the request's first send */
mtype beat_told[3] = nothing;/* a renewal's reply, on its way */
byte beat_age[3];
bool permit[3];              /* a reserve was granted and is not used yet */
bool passed[3];              /* with PAUSE: past its last check, not yet sent */

byte losses = 0, crashes = 0, restarts = 0, blocks = 0, turns = 0;
byte since_order = 0;        /* ticks since the order, up to P + 1 */

#define over       (state == succeeded || state == failed || state == killed)
#define trusted(w) (trust_age[w] < S)
#ifdef MUTANT_FENCING
#define holds(w, e) (state == running)
#else
#define holds(w, e) (state == running && holder == w && epoch == e)
#endif

/* ---- the scripts ---- */

inline commit(o) {
	assert(!over && commits == 0);     /* I1: over exactly once */
	assert(!ordered || o == killed);   /* I3: killed wins */
	commits++; state = o; holder = 0; epoch = 0; since_order = 0
}

inline to(s) {
	assert(!ordered);                  /* I3: what is covered goes nowhere but over */
	state = s; holder = 0; epoch = 0
}

/* grant.lua; the nonce of a retry is answered with the claim it was given */
inline do_grant(w) {
	if
	:: given[w] != 0 && holds(w, given[w]) -> told[w] = ok
	:: !(given[w] != 0 && holds(w, given[w])) && state == queued ->
		if
#ifndef MUTANT_GRANT_ORDER
		:: ordered -> commit(killed); told[w] = lost                /* MOVE grant: queued -> killed */
		:: !ordered && blocked -> to(parked); told[w] = lost        /* MOVE grant: queued -> parked */
		:: !ordered && !blocked && turns < TURNS ->
			turns++; to(held); told[w] = lost                       /* MOVE grant: queued -> held */
		:: !ordered && !blocked && grants < GRANTS ->
#else
		:: grants < GRANTS ->
#endif
			assert(!ordered);                                       /* I3: nothing covered starts */
			assert(holder == 0);                                    /* I2: one live claim */
			grants++; fresh = true;
			state = running; holder = w; epoch = grants;            /* MOVE grant: queued -> running */
			given[w] = epoch; told[w] = ok
		:: else -> told[w] = lost
		fi
	:: else -> told[w] = lost
	fi
}

/* renew.lua: no move; the score of a killed job is not raised */
inline do_renew(w) {
	beat_age[w] = 0;
	if
#ifdef MUTANT_RENEW_ORDER
	:: holds(w, believes[w]) -> fresh = true; beat_told[w] = ok
#else
	:: holds(w, believes[w]) && ordered -> beat_told[w] = kill
	:: holds(w, believes[w]) && !ordered -> fresh = true; beat_told[w] = ok
#endif
	:: else -> beat_told[w] = lost
	fi
}

/* reserve.lua: no move; it refuses while an order stands */
inline do_reserve(w) {
	if
#ifdef MUTANT_RESERVE
	:: holds(w, believes[w]) -> told[w] = ok
#else
	:: holds(w, believes[w]) && ordered -> told[w] = kill
	:: holds(w, believes[w]) && !ordered -> told[w] = ok
#endif
	:: else -> told[w] = lost
	fi
}

/* finish.lua, retry.lua, release.lua, park.lua */
inline do_end(w) {
	if
	:: believes[w] == last_end -> skip                               /* its retry: the same success */
	:: believes[w] != last_end && !holds(w, believes[w]) -> skip     /* lost: it changes nothing */
	:: believes[w] != last_end && holds(w, believes[w]) ->
		last_end = believes[w];
		if
#ifdef MUTANT_KILLED_WINS
		:: ordered && asked[w] != finish ->
#else
		:: ordered ->
#endif
			/* MOVE finish: running -> killed
			 * MOVE retry: running -> killed
			 * MOVE release: running -> killed
			 * MOVE park: running -> killed */
			commit(killed)
#ifdef MUTANT_KILLED_WINS
		:: asked[w] == finish ->
#else
		:: !ordered && asked[w] == finish ->
#endif
			/* MOVE finish: running -> failed */
			commit(succeeded)                                       /* MOVE finish: running -> succeeded */
		:: !ordered && asked[w] == retry ->
			if
			:: backs < BACKS -> backs++; to(delayed)                /* MOVE retry: running -> delayed */
			:: commit(failed)                                       /* MOVE retry: running -> failed */
			fi
		:: !ordered && asked[w] == release -> to(queued)            /* MOVE release: running -> queued */
		:: !ordered && asked[w] == park -> to(parked)               /* MOVE park: running -> parked */
		fi
	fi;
	told[w] = ok
}

inline send(w) {
	if
	:: asked[w] == grant -> do_grant(w)
	:: asked[w] == reserve -> do_reserve(w)
	:: else -> do_end(w)
	fi
}

inline drop(w) {
	believes[w] = 0; trust_age[w] = S; heard[w] = false; shut[w] = false;
	beat_told[w] = nothing; beat_age[w] = S; permit[w] = false; passed[w] = false
}

inline paid_call(w) {
	assert(state != killed);                                         /* I4: nothing after the confirmation */
	assert(!ordered || since_order <= P);                            /* the bound: a permit's age */
	assert(believes[3 - w] == 0 || shut[3 - w] || !trusted(3 - w))   /* I2: the other one has stopped */
}

proctype worker(byte w) {
	do
	:: atomic { !dead[w] && crashes < CRASHES ->
		crashes++; dead[w] = true; drop(w); asked[w] = none; told[w] = nothing; given[w] = 0; ask_age[w] = S }
	:: dead[w] -> break

	/* the keeper */
	:: atomic { believes[w] != 0 && beat_told[w] == nothing && trusted(w) && !heard[w] -> do_renew(w) }
	:: atomic { beat_told[w] != nothing ->
		if
#ifdef MUTANT_LATE_RENEWAL
		:: beat_told[w] == ok -> trust_age[w] = 0
#else
		:: beat_told[w] == ok && beat_age[w] < trust_age[w] -> trust_age[w] = beat_age[w]
#endif
		:: beat_told[w] == kill -> heard[w] = true
		:: beat_told[w] == lost -> trust_age[w] = S
		:: else
		fi;
		beat_told[w] = nothing; beat_age[w] = S }

	/* the runner: a job, money and permission for one call, the end of the work */
	:: atomic { believes[w] == 0 && asked[w] == none && state == queued ->
		asked[w] = grant; ask_age[w] = 0; given[w] = 0; send(w) }
	:: atomic { believes[w] != 0 && !shut[w] && !heard[w] && trusted(w) && asked[w] == none && !permit[w] && !passed[w] ->
		asked[w] = reserve; ask_age[w] = 0; send(w) }
	:: atomic { believes[w] != 0 && !shut[w] && asked[w] == none && !permit[w] && !passed[w] -> shut[w] = true }
	:: atomic { shut[w] && asked[w] == none ->
		if
		:: heard[w] || trusted(w) -> asked[w] = finish
		:: !heard[w] && !trusted(w) -> asked[w] = release
		:: !heard[w] && trusted(w) -> asked[w] = retry
		:: !heard[w] && trusted(w) && backs < BACKS -> backs++; asked[w] = park
		:: !heard[w] && trusted(w) && backs < BACKS -> backs++; asked[w] = release /* a drain */
		fi;
		send(w) }

	/* a reply is lost and the request sent again, or it arrives */
	:: atomic { told[w] != nothing && losses < LOSSES -> losses++; send(w) }
	:: atomic { told[w] != nothing ->
		if
		:: asked[w] == grant && told[w] == ok -> believes[w] = given[w]; trust_age[w] = ask_age[w]
		:: asked[w] == grant && told[w] != ok
		:: asked[w] == reserve && told[w] == ok -> permit[w] = true
		:: asked[w] == reserve && told[w] == kill -> heard[w] = true
		:: asked[w] == reserve && told[w] == lost -> trust_age[w] = S
		:: else -> drop(w)
		fi;
		given[w] = 0; told[w] = nothing; asked[w] = none;
		if :: permit[w] :: else -> ask_age[w] = S fi }

	/* the paid call: its check is the last statement before the send */
#ifdef PAUSE
	:: atomic { permit[w] -> permit[w] = false; passed[w] = (trusted(w) && ask_age[w] < P); ask_age[w] = S }
	:: atomic { passed[w] -> passed[w] = false; paid_call(w) }
#else
	:: atomic { permit[w] -> permit[w] = false;
		if
#ifdef MUTANT_PERMIT_AGE
		:: true -> paid_call(w)
#else
		:: trusted(w) && ask_age[w] < P -> paid_call(w)
		:: else
#endif
		fi;
		ask_age[w] = S }
#endif
	od
}

/* ---- time: all clocks run at one rate; S < T is the room for others ---- */

#define older(x, most) if :: x < most -> x++ :: else fi

proctype clock() {
	do
	:: atomic {
		older(trust_age[1], S); older(ask_age[1], S); older(beat_age[1], S);
		older(trust_age[2], S); older(ask_age[2], S); older(beat_age[2], S);
		if :: sampled && sample_age < T -> sample_age++ :: else fi;
		if :: ordered && !over && since_order <= P -> since_order++ :: else fi }
	od
}

/* ---- who looks after what nobody renews ---- */

#ifdef MUTANT_STILLNESS
#define WATCHED 1
#else
#define WATCHED T
#endif
#define ripe (sampled && sample_age >= WATCHED && !fresh && state == running)

/* reclaim.lua, by any worker */
proctype reaper() {
	do
	:: atomic { ripe ->
		if
#ifdef MUTANT_RECLAIM_ORDER
		:: grants < GRANTS ->
#else
		:: ordered -> commit(killed)                                  /* MOVE reclaim: running -> killed */
		:: !ordered && grants < GRANTS ->
#endif
			if
			:: to(queued)                                             /* MOVE reclaim: running -> queued */
			:: backs < BACKS -> backs++; to(delayed)                  /* MOVE reclaim: running -> delayed */
			fi
		:: !ordered && grants >= GRANTS -> commit(failed)             /* MOVE reclaim: running -> failed */
		fi }
	od
}

/* the dispatcher's clerk: it samples, fences what is under an order, sweeps */
proctype clerk() {
	do
	:: atomic { !over && (!sampled || sample_age >= T && fresh) -> sampled = true; sample_age = 0; fresh = false }
	:: atomic { ripe && ordered -> commit(killed) }                   /* MOVE fence: running -> killed */
	:: atomic { ordered && (state == queued || state == parked || state == delayed || state == held) ->
		/* MOVE sweep: queued -> killed
		 * MOVE sweep: parked -> killed
		 * MOVE sweep: delayed -> killed
		 * MOVE sweep: held -> killed */
		commit(killed) }
	:: atomic { state == held ->                                      /* there is room behind the cap */
		if
		:: ordered -> commit(killed)                                  /* MOVE unhold: held -> killed */
		:: !ordered -> to(queued)                                     /* MOVE unhold: held -> queued */
		fi }
	od
}

/* Redis comes back as another process: samples are void, leases as they were */
proctype server() {
	do
	:: atomic { restarts < RESTARTS && sampled -> restarts++; sampled = false; sample_age = 0; fresh = false }
	:: restarts >= RESTARTS -> break
	od
}

/* ---- people, and what falls due ---- */

proctype people() {
	do
	:: atomic { !ordered && !over -> ordered = true;
		if
		:: true                                                       /* a horizon: the clerk books what it covers */
		:: state != running ->
			/* MOVE order: queued -> killed
			 * MOVE order: parked -> killed
			 * MOVE order: delayed -> killed
			 * MOVE order: held -> killed
			 * MOVE scan: held -> killed
			 * MOVE scan: queued -> killed
			 * MOVE scan: parked -> killed
			 * MOVE scan: delayed -> killed */
			commit(killed)
		fi }
	:: atomic { !blocked && blocks < BLOCKS && !over -> blocks++; blocked = true }
	:: atomic { blocked -> blocked = false;                           /* lift, then unbench */
		if
		:: state == parked && ordered -> commit(killed)               /* MOVE unbench: parked -> killed */
		:: state == parked && !ordered -> to(queued)                  /* MOVE unbench: parked -> queued */
		:: state != parked
		fi }
	:: atomic { state == parked && !blocked ->
		if
		/* MOVE answer: parked -> killed
		 * MOVE answer: parked -> queued
		 * MOVE readmit: parked -> killed
		 * MOVE readmit: parked -> queued */
		:: ordered -> commit(killed)                                  /* MOVE resume: parked -> killed */
		:: !ordered -> to(queued)                                     /* MOVE resume: parked -> queued */
		fi }
	:: atomic { state == delayed ->
		if
		:: ordered -> commit(killed)                                  /* MOVE promote: delayed -> killed */
		:: !ordered -> to(queued)                                     /* MOVE promote: delayed -> queued */
		fi }
	od
}

init {
	atomic {                                                          /* MOVE submit: new -> queued */
		trust_age[1] = S; trust_age[2] = S; ask_age[1] = S; ask_age[2] = S; beat_age[1] = S; beat_age[2] = S;
		run worker(1); run worker(2); run clock(); run reaper(); run clerk(); run people(); run server()
	}
}

/* An order is confirmed or fenced, whatever the workers do. */
ltl obeyed { [] (ordered -> <> (state == killed)) }
