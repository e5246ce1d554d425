import { useComputed } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { environments } from '../environments';
import { search } from '../router';
import { cancelsHeard } from '../runs/store';
import { Heading } from '../ui/heading';
import { who } from '../ui/state';
import { Ago, duration } from '../ui/time';
import { Chart, type Series } from './charts';
import {
  type Analytics,
  analytics,
  CAUSES,
  type Day,
  dayFromNow,
  days,
  load,
  of,
  refresh,
  SPANS,
  setParts,
  trouble,
} from './data';
import { Cancels } from './list';

const REFRESH_MS = 2000;

const CAUSE_WORDS = { user: 'by people', superseded: 'superseded', stale: 'stale', fail_fast: 'fail-fast' };
const CAUSE_COLORS = { user: '--people', superseded: '--off', stale: '--wait', fail_fast: '--run' };

const saved = (minutes: number) => (minutes < 90 ? `${Math.round(minutes)} min` : `${Math.round(minutes / 60)} h`);
const stopTime = (ms: number | null) => (ms === null ? '–' : duration(ms));

const Tile = ({ value, what, hint }: { value: string; what: string; hint?: string }) => (
  <div class="card tile" title={hint}>
    <strong>{value}</strong>
    <span class="sub">{what}</span>
  </div>
);

function Tiles({ summary }: { summary: Analytics['summary'] }) {
  const { stop_ms, minutes_saved } = summary;
  const both = minutes_saved.user + minutes_saved.superseded;
  return (
    <div class="tiles">
      <Tile
        value={String(summary.cancelled_runs)}
        what={`of ${summary.total === 1 ? '1 run' : `${summary.total} runs`} stopped, ${summary.by_cause.user} by people`}
      />
      <Tile
        value={stop_ms.p50 === null ? '–' : `${stopTime(stop_ms.p50)} / ${stopTime(stop_ms.p95)}`}
        what="time to stop, p50 / p95"
        hint="From the cancel until the last runner had confirmed"
      />
      <Tile
        value={saved(both)}
        what={`saved: ${saved(minutes_saved.user)} by people, ${saved(minutes_saved.superseded)} superseded`}
        hint="What runs like these take, less the time that had passed at the cancel"
      />
      <Tile value={String(summary.lost)} what="runners lost" hint="Nobody knows whether their tests have stopped" />
    </div>
  );
}

const OUTCOMES = ['graceful', 'terminated', 'killed', 'lost', 'never_started'] as const;
const OUTCOME_WORDS = {
  graceful: 'gracefully',
  terminated: 'on SIGTERM',
  killed: 'killed',
  lost: 'lost',
  never_started: 'before any tests had started',
};

function Outcomes({ outcomes }: { outcomes: Analytics['summary']['outcomes'] }) {
  const total = OUTCOMES.reduce((sum, outcome) => sum + outcomes[outcome], 0);
  if (total === 0) return null;
  return (
    <section class="card outcomes" aria-label="How they stopped">
      <span class="strip" aria-hidden="true">
        {OUTCOMES.map((outcome) => (
          <i key={outcome} class={outcome} style={{ width: `${(100 * outcomes[outcome]) / total}%` }} />
        ))}
      </span>
      <ul>
        {OUTCOMES.filter((outcome) => outcomes[outcome] > 0).map((outcome) => (
          <li key={outcome} class="sub">
            <i class={`swatch ${outcome}`} /> {Math.round((100 * outcomes[outcome]) / total)} % {OUTCOME_WORDS[outcome]}
          </li>
        ))}
      </ul>
    </section>
  );
}

const series = (daily: Day[], label: string, color: string, value: (day: Day) => number | null): Series => ({
  label,
  color,
  values: daily.map(value),
});

function Charts({ daily }: { daily: Day[] }) {
  const at = daily.map(({ date }) => Date.parse(`${date}T00:00:00Z`) / 1000);
  const whole = (value: number) => (Number.isInteger(value) ? String(value) : '');
  return (
    <div class="charts">
      <Chart
        title="Stopped runs a day"
        kind="bars"
        at={at}
        unit={whole}
        series={CAUSES.map((cause) =>
          series(daily, CAUSE_WORDS[cause], CAUSE_COLORS[cause], (day) => day.by_cause[cause]),
        )}
      />
      <Chart
        title="Time to stop"
        kind="lines"
        at={at}
        unit={(value) => duration(value)}
        series={[
          series(daily, 'p50', '--run', (day) => day.stop_ms.p50),
          series(daily, 'p95', '--off', (day) => day.stop_ms.p95),
        ]}
      />
      <Chart
        title="Minutes saved"
        kind="bars"
        at={at}
        unit={(value) => String(Math.round(value))}
        series={[
          series(daily, 'by people', '--people', (day) => day.minutes_saved.user),
          series(daily, 'superseded', '--off', (day) => day.minutes_saved.superseded),
        ]}
      />
      <Chart
        title="Runners lost"
        kind="bars"
        at={at}
        unit={whole}
        series={[series(daily, 'lost', '--wait', (day) => day.lost)]}
      />
    </div>
  );
}

function Filters() {
  return (
    <div class="chips">
      {SPANS.map((span) => (
        <button
          key={span}
          type="button"
          class={days.value === span ? 'chip on' : 'chip'}
          aria-pressed={days.value === span}
          onClick={() => setParts({ days: span === 14 ? '' : String(span) })}
        >
          {span} days
        </button>
      ))}
      {environments.value && (
        <select
          aria-label="Environment"
          value={of('environment')}
          onChange={(event) => setParts({ environment: event.currentTarget.value })}
        >
          <option value="">all environments</option>
          {environments.value.map(({ slug }) => (
            <option key={slug} value={slug}>
              {slug}
            </option>
          ))}
        </select>
      )}
    </div>
  );
}

/** A filter that holds; a click takes it away. */
const Chosen = ({ name, label }: { name: string; label: string }) =>
  of(name) ? (
    <button
      type="button"
      class="chip on"
      aria-label={`Remove the filter ${label}`}
      onClick={() => setParts({ [name]: '' })}
    >
      {label} <span aria-hidden="true">✕</span>
    </button>
  ) : null;

function ListFilters() {
  const yesterday = dayFromNow(-1);
  const isYesterday = of('from') === yesterday && of('to') === yesterday;
  return (
    <div class="chips">
      {CAUSES.map((cause) => (
        <button
          key={cause}
          type="button"
          class={of('cause') === cause ? 'chip on' : 'chip'}
          aria-pressed={of('cause') === cause}
          onClick={() => setParts({ cause: of('cause') === cause ? '' : cause })}
        >
          {CAUSE_WORDS[cause]}
        </button>
      ))}
      <button
        type="button"
        class={isYesterday ? 'chip on' : 'chip'}
        aria-pressed={isYesterday}
        onClick={() => setParts(isYesterday ? { from: '', to: '' } : { from: yesterday, to: yesterday })}
      >
        yesterday
      </button>
      {(['from', 'to'] as const).map((name) => (
        <label key={name} class="day">
          <span>{name}</span>
          <input type="date" value={of(name)} onChange={(event) => setParts({ [name]: event.currentTarget.value })} />
        </label>
      ))}
      <Chosen name="by" label={who(of('by'))} />
      <Chosen name="environment" label={of('environment')} />
      <Chosen name="from" label={`from ${of('from')}`} />
      <Chosen name="to" label={`to ${of('to')}`} />
    </div>
  );
}

export function StopsPage() {
  const daily = useComputed(() => analytics.value?.daily);
  useEffect(() => {
    void load();
  }, [search.value]);
  // Fifty stops a second are one reading every other second.
  const heard = cancelsHeard.value;
  const due = useRef(0);
  const first = useRef(heard);
  useEffect(() => {
    if (heard === first.current) return;
    due.current ||= window.setTimeout(() => {
      due.current = 0;
      void refresh();
    }, REFRESH_MS);
  }, [heard]);
  useEffect(() => () => clearTimeout(due.current), []);
  return (
    <main class="stops">
      <Heading title="Stops">Stops, last {days.value} days</Heading>
      <Filters />
      {trouble.value && (
        <p class="problem" role="alert">
          {trouble.value}{' '}
          <button type="button" onClick={() => void load()}>
            Try again
          </button>
        </p>
      )}
      {analytics.value && daily.value && (
        <>
          <Tiles summary={analytics.value.summary} />
          <Outcomes outcomes={analytics.value.summary.outcomes} />
          <Charts daily={daily.value} />
          {analytics.value.as_of && (
            <p class="sub">
              Counted <Ago at={analytics.value.as_of} />. Days are in UTC.
            </p>
          )}
        </>
      )}
      <h2>Who stopped what</h2>
      <ListFilters />
      <Cancels />
    </main>
  );
}
