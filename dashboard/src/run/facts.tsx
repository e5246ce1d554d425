import type { ComponentChildren } from 'preact';
import type { Run } from '../api/client';
import { actorOf } from '../runs/filters';

const Outside = ({ href, children }: { href: string; children: ComponentChildren }) => (
  // The contract holds these to http and https.
  <a href={href} target="_blank" rel="noreferrer noopener">
    {children}
  </a>
);

const filterLink = (name: string, value: string) => `/?${new URLSearchParams({ [name]: value })}`;

/** What the run is about: each fact is a way to others of its kind. */
export function Facts({ run }: { run: Run }) {
  const { build, counts } = run;
  const tookPlaceOf = run.took_the_place_of ?? [];
  const rows: [string, ComponentChildren][] = [
    ['Environment', <a href={filterLink('environment', run.environment.slug)}>{run.environment.name}</a>],
  ];
  const add = (name: string, value: ComponentChildren) => rows.push([name, value]);
  if (run.test_run_branch) add('Branch', <a href={filterLink('branch', run.test_run_branch)}>{run.test_run_branch}</a>);
  if (build?.commit) {
    const short = <code>{build.commit.slice(0, 12)}</code>;
    add('Commit', build.commit_url ? <Outside href={build.commit_url}>{short}</Outside> : short);
  }
  if (build?.version) add('Version', build.version);
  if (build?.url) add('Build or CI job', <Outside href={build.url}>{new URL(build.url).host}</Outside>);
  add('Actor', <a href={filterLink('actor', actorOf(run))}>{actorOf(run)}</a>);
  if (run.created_by !== actorOf(run)) add('Registered by', run.created_by);
  if (run.group) add('Group', `${run.group}, attempt ${run.attempt}`);
  if (run.tags.length > 0) {
    add(
      'Tags',
      run.tags.map((tag, at) => (
        <span key={tag}>
          {at > 0 && ', '}
          <a href={filterLink('tag', tag)}>{tag}</a>
        </span>
      )),
    );
  }
  if (counts) {
    const { total, success, failed, skipped, flaky } = counts;
    add('Tests', `${total}: ${success} passed, ${failed} failed, ${skipped} skipped, ${flaky} flaky`);
  }
  if (run.fail_fast) add('Fail-fast', `after ${run.fail_fast} failed`);
  if (run.protected) add('Protected', 'never cancelled for a newer run');
  if (run.superseded_by) add('Superseded by', <a href={`/runs/${run.superseded_by}`}>#{run.superseded_by}</a>);
  if (tookPlaceOf.length > 0) {
    add(
      'Took the place of',
      tookPlaceOf.map((id, at) => (
        <span key={id}>
          {at > 0 && ', '}
          <a href={`/runs/${id}`}>#{id}</a>
        </span>
      )),
    );
  }
  for (const [name, value] of Object.entries(run.metadata ?? {})) {
    add(name, <a href={filterLink(`metadata.${name}`, String(value))}>{String(value)}</a>);
  }
  return (
    <dl class="facts">
      {rows.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
