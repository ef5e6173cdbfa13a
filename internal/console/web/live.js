// Streams: server-sent events read with fetch, because an EventSource cannot
// send a credential; and a feed that polls where no stream comes through.

import { credential, Problem } from './api.js';

// stream reads events until the server ends it, and calls tell(event) for each.
// It returns 'over' for a stream that will have no more, else 'ended'.
export async function stream(path, { last, signal, opened, tell }) {
  const headers = { Authorization: `Bearer ${credential()}`, Accept: 'text/event-stream' };
  if (last) headers['Last-Event-ID'] = last;
  const answer = await fetch(path, { headers, signal, credentials: 'omit', cache: 'no-store', redirect: 'error' });
  if (answer.status === 204) return 'over';
  if (!answer.ok) throw new Problem(answer.status, await answer.json().catch(() => ({})));
  if (!(answer.headers.get('Content-Type') || '').startsWith('text/event-stream')) throw new Error('no event stream');
  opened?.();
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return 'ended';
    const frames = (rest + value).split('\n\n');
    rest = frames.pop();
    for (const frame of frames) {
      const event = parse(frame);
      if (event) tell(event);
    }
  }
}

function parse(frame) {
  const event = { id: '', type: 'message', data: '' };
  for (const line of frame.split('\n')) {
    if (line.startsWith('id: ')) event.id = line.slice(4);
    else if (line.startsWith('event: ')) event.type = line.slice(7);
    else if (line.startsWith('data: ')) event.data += line.slice(6);
  }
  if (!event.data) return null;
  try {
    event.data = JSON.parse(event.data);
    return event;
  } catch {
    return null;
  }
}

export function pause(ms, signal) {
  return new Promise((done) => {
    const timer = setTimeout(done, ms);
    signal?.addEventListener('abort', () => { clearTimeout(timer); done(); }, { once: true });
  });
}

// every calls work again and again, each time so long after it has ended.
export async function every(ms, signal, work) {
  while (!signal.aborted) {
    try {
      await work();
    } catch (e) {
      if (signal.aborted) return;
    }
    await pause(ms, signal);
  }
}

// follow reads a stream to its end, coming again where it broke off.
export async function follow(path, signal, tell, trouble) {
  let last = '';
  for (let wait = 500; !signal.aborted; wait = Math.min(wait * 2, 8000)) {
    try {
      const end = await stream(path, {
        last, signal, opened: () => { wait = 500; trouble?.(null); },
        tell: (e) => { last = e.id || last; tell(e); },
      });
      if (end === 'over') return;
    } catch (e) {
      if (signal.aborted) return;
      if (e instanceof Problem && e.status >= 400 && e.status < 500) { trouble?.(e); return; }
      trouble?.(e);
    }
    await pause(wait, signal);
  }
}

const patience = { first: 4000, next: 5000, again: 20000, poll: 2000 };

// Feed keeps the latest of something: by a stream where one comes through, else
// by polling, and knows how old it is.
export class Feed {
  constructor({ streamPath, poll, take, changed }) {
    Object.assign(this, { streamPath, poll, take, changed });
    this.mode = 'connecting'; // live, polling
    this.seen = 0; // performance.now() of the last news
    this.problem = null;
  }

  // age is how old the data are, in seconds.
  age() {
    return this.seen ? (performance.now() - this.seen) / 1000 : Infinity;
  }

  stale() {
    return this.age() > 5;
  }

  news(data) {
    this.seen = performance.now();
    this.problem = null;
    this.take(data);
    this.changed();
  }

  trouble(e) {
    this.problem = e;
    this.changed();
  }

  async run(signal) {
    while (!signal.aborted) {
      if (this.streamPath) await this.listen(signal);
      if (signal.aborted) return;
      await this.pollFor(signal, this.streamPath ? patience.again : Infinity);
    }
  }

  // listen returns when the stream does not come through, or not any more.
  async listen(signal) {
    const stop = new AbortController();
    const both = AbortSignal.any([signal, stop.signal]);
    let watchdog = setTimeout(() => stop.abort(), patience.first);
    let ended = false;
    try {
      const end = await stream(this.streamPath, {
        signal: both,
        tell: (e) => {
          clearTimeout(watchdog);
          watchdog = setTimeout(() => stop.abort(), patience.next);
          this.mode = 'live';
          if (e.type === 'trouble') this.trouble(new Problem(e.data.status, e.data));
          else this.news(e.data.fleet);
        },
      });
      ended = end === 'ended' && this.mode === 'live';
    } catch (e) {
      if (e instanceof Problem && !stop.signal.aborted && !signal.aborted) this.trouble(e);
    } finally {
      clearTimeout(watchdog);
    }
    if (!ended) return;
    await pause(500, signal); // it lasts for a while only; come again
    if (!signal.aborted) await this.listen(signal);
  }

  async pollFor(signal, ms) {
    const until = performance.now() + ms;
    while (!signal.aborted && performance.now() < until) {
      try {
        const data = await this.poll();
        this.mode = 'polling';
        this.news(data);
      } catch (e) {
        if (signal.aborted) return;
        this.trouble(e);
        if (e instanceof Problem && e.status === 401) return;
      }
      await pause(patience.poll, signal);
    }
  }
}
