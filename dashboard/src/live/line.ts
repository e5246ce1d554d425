import { computed, signal } from '@preact/signals';
import type { Schemas } from '../api/client';
import { loadSession, over } from '../session';

/** What the runner of a shard that is stopping has just done. */
export type Step = Schemas['StepMessage'];
/** How far the tests of a shard are. */
export type Report = Schemas['ProgressMessage'];
export type Message = Schemas['RunMessage'] | Step | Report;

/** `offline`: this machine has no network. `waiting`: the line broke, and is opened again in a moment. */
export type Condition = 'connecting' | 'live' | 'waiting' | 'offline';

const KEY_IS_OVER = 4401;
const SILENCE_MS = 20_000;
const LONGEST_WAIT_MS = 15_000;

interface Options {
  path: string;
  hear: (message: Message) => void;
  /** The line is open: whatever changed before was not heard. */
  opened: () => void;
}

/** Keeps a WebSocket open, however often it breaks. Returns its condition, and how to end it. */
export function openLine({ path, hear, opened }: Options) {
  const condition = signal<Condition>('connecting');
  let socket: WebSocket | null = null;
  let attempts = 0;
  let ended = false;
  let timer = 0;
  let silence = 0;

  const wait = () => {
    clearTimeout(silence);
    if (ended) return;
    condition.value = navigator.onLine ? 'waiting' : 'offline';
    // Whoever lost the line together does not come back together.
    const delay = Math.min(LONGEST_WAIT_MS, 400 * 2 ** attempts++) * (0.5 + Math.random() / 2);
    clearTimeout(timer);
    timer = window.setTimeout(connect, delay);
  };

  const listen = (pinged = false) => {
    clearTimeout(silence);
    silence = window.setTimeout(() => {
      // A cut cable is not noticed otherwise.
      if (pinged) socket?.close();
      else {
        socket?.send('ping');
        listen(true);
      }
    }, SILENCE_MS);
  };

  function connect() {
    clearTimeout(timer);
    if (ended) return;
    if (condition.value !== 'offline') condition.value = attempts ? 'waiting' : 'connecting';
    const opening = new WebSocket(path);
    let wasOpen = false;
    const before = socket;
    socket = opening;
    before?.close();
    // One that never opens is given up like one that has fallen silent.
    listen(true);
    opening.onopen = () => {
      if (socket !== opening || ended) return;
      wasOpen = true;
      attempts = 0;
      condition.value = 'live';
      listen();
      opened();
    };
    opening.onmessage = ({ data }) => {
      if (socket !== opening || ended) return;
      listen();
      if (data === 'pong') return;
      hear(JSON.parse(data) as Message);
    };
    opening.onclose = ({ code }) => {
      if (socket !== opening || ended) return;
      socket = null;
      if (code === KEY_IS_OVER) return over('Your key was revoked, or has expired. Sign in with another.');
      wait();
      // A browser does not say why an upgrade was refused; the session may be over.
      if (!wasOpen && navigator.onLine) loadSession().catch(() => {});
    };
  }

  const now = () => {
    if (socket?.readyState === WebSocket.OPEN) return;
    attempts = 0;
    connect();
  };
  const gone = () => {
    condition.value = 'offline';
    const closing = socket;
    socket = null;
    closing?.close();
    clearTimeout(silence);
  };
  const seen = () => {
    if (document.visibilityState === 'visible' && condition.value === 'waiting') now();
  };
  addEventListener('online', now);
  addEventListener('offline', gone);
  document.addEventListener('visibilitychange', seen);
  connect();

  return {
    condition: computed(() => condition.value),
    now,
    end() {
      ended = true;
      clearTimeout(timer);
      clearTimeout(silence);
      removeEventListener('online', now);
      removeEventListener('offline', gone);
      document.removeEventListener('visibilitychange', seen);
      socket?.close();
    },
  };
}
