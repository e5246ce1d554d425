import { signal } from '@preact/signals';
import { serverNow } from '../api/client';

/** The service's time, a second apart. It stands still while nobody looks. */
export const now = signal(serverNow());

setInterval(() => {
  if (document.visibilityState === 'visible') now.value = serverNow();
}, 1000);
document.addEventListener('visibilitychange', () => {
  now.value = serverNow();
});

const two = (n: number) => String(n).padStart(2, '0');

/** `2.1 s`, `6 m 12 s`, `2 h 05 m`, `3 d 4 h`. */
export function duration(ms: number): string {
  const s = Math.max(0, ms) / 1000;
  if (s < 9.95) return `${s.toFixed(1)} s`;
  if (s < 59.5) return `${Math.round(s)} s`;
  const whole = Math.floor(s);
  if (whole < 3600) return `${Math.floor(whole / 60)} m ${two(whole % 60)} s`;
  if (whole < 86_400) return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} m`;
  return `${Math.floor(whole / 86_400)} d ${Math.floor((whole % 86_400) / 3600)} h`;
}

/** The same in whole seconds: for what ticks, and should not flicker. */
export const ticking = (ms: number) => (ms < 9950 ? `${Math.max(0, Math.floor(ms / 1000))} s` : duration(ms));

/** `just now`, `3 m ago`, `2 h ago`, `5 d ago`. */
export function ago(ms: number): string {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 5) return 'just now';
  if (s < 60) return `${s} s ago`;
  if (s < 3600) return `${Math.floor(s / 60)} m ago`;
  if (s < 86_400) return `${Math.floor(s / 3600)} h ago`;
  return `${Math.floor(s / 86_400)} d ago`;
}

const exactly = (at: string) => `${at.replace('T', ' ').replace('Z', '')} UTC`;
const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const day = new Intl.DateTimeFormat(undefined, { month: 'short', day: 'numeric' });

/** The time of day in the viewer's zone, with the day if that is not today. */
export function localTime(at: string): string {
  const date = new Date(at);
  const time = clock.format(date);
  return date.toDateString() === new Date(now.value).toDateString() ? time : `${day.format(date)}, ${time}`;
}

/** A moment, as the time of day. The exact UTC shows on hover. */
export const At = ({ at }: { at: string }) => (
  <time dateTime={at} title={exactly(at)}>
    {localTime(at)}
  </time>
);

const date = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium' });

/** A moment, as its day. */
export const On = ({ at }: { at: string }) => (
  <time dateTime={at} title={exactly(at)}>
    {date.format(new Date(at))}
  </time>
);

/** A moment, as how long ago it was. */
export const Ago = ({ at }: { at: string }) => (
  <time dateTime={at} title={exactly(at)}>
    {ago(now.value - Date.parse(at))}
  </time>
);

/** How long it is since a moment, ticking. */
export const Since = ({ at }: { at: string }) => (
  <time dateTime={at} title={`since ${exactly(at)}`}>
    {ticking(now.value - Date.parse(at))}
  </time>
);
