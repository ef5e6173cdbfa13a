// Requests: every one carries the credential, every failure is a Problem in words.

const KEY = 'gavel.key';

export function credential() {
  return sessionStorage.getItem(KEY);
}

export function signIn(key) {
  sessionStorage.setItem(KEY, key);
}

export function signOut() {
  sessionStorage.removeItem(KEY);
}

// Problem is why a request was not answered as hoped.
export class Problem extends Error {
  constructor(status, body) {
    super(body.detail || body.title || `The dispatcher answered ${status}.`);
    this.status = status;
    this.title = body.title || 'The request failed';
    this.type = (body.type || '').replace('urn:gavel:problem:', '');
    this.body = body;
  }

  // inWords is the whole of it for a person.
  get inWords() {
    const more = [];
    for (const e of this.body.errors || []) more.push(`${e.location}: ${e.message}`);
    if (this.body.reason) more.push(`Reason: ${this.body.reason}`);
    if (this.body.incident) more.push(`Incident: ${this.body.incident}`);
    return [`${this.title}.`, this.message === this.title ? '' : this.message, ...more].filter(Boolean).join(' ');
  }
}

// ask sends one request and returns its JSON, or throws a Problem.
export async function ask(method, path, body, options = {}) {
  const headers = { Authorization: `Bearer ${options.key || credential()}` };
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  if (method === 'POST' && options.idempotent !== false) headers['Idempotency-Key'] = options.idempotencyKey || crypto.randomUUID?.() || random();
  const limit = AbortSignal.timeout(options.timeout || 15000);
  let answer;
  try {
    answer = await fetch(path, {
      method, headers, body: body === undefined ? undefined : JSON.stringify(body),
      credentials: 'omit', cache: 'no-store', redirect: 'error',
      signal: options.signal ? AbortSignal.any([options.signal, limit]) : limit,
    });
  } catch (e) {
    if (options.signal?.aborted) throw e;
    throw new Problem(0, { title: 'The dispatcher does not answer', detail: 'Check the network, or ask another dispatcher. Whether an act was done is in the audit; sending it again is safe.' });
  }
  return read(answer);
}

async function read(answer) {
  if (answer.status === 204) return null;
  let body;
  try {
    body = await answer.json();
  } catch {
    body = { title: `The answer (${answer.status}) is not Gavel's`, detail: 'Something between this page and the dispatcher answered instead.' };
    throw new Problem(answer.status || 502, body);
  }
  if (!answer.ok) throw new Problem(answer.status, body);
  return body;
}

// random is a key where crypto.randomUUID is missing: pages not served from a
// secure origin have only getRandomValues.
export function random() {
  const raw = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(raw, (b) => b.toString(16).padStart(2, '0')).join('');
}

export const get = (path, options) => ask('GET', path, undefined, options);
export const post = (path, body, options) => ask('POST', path, body, options);
