import type { Schemas } from '../api/client';

export type Failure = Schemas['ListedFailure'];

/** The service lists no more. */
const MOST = 50;

/** The tests that have failed. What the test runner says of each is folded. */
export function Failures({ failures, shards }: { failures: Failure[]; shards: number }) {
  if (failures.length === 0) return null;
  return (
    <>
      <h2>{failures.length < MOST ? 'Failed tests' : `The first ${MOST} failed tests`}</h2>
      <ul class="card failures">
        {failures.map(({ shard, title, file, line, message }, at) => {
          const place = [file && `${file}${line === null ? '' : `:${line}`}`, shards > 1 && `shard ${shard}`];
          const name = (
            <>
              <b>{title}</b> <span class="sub">{place.filter(Boolean).join(' · ')}</span>
            </>
          );
          return (
            <li key={at}>
              {message ? (
                <details>
                  <summary>{name}</summary>
                  <pre>{message}</pre>
                </details>
              ) : (
                name
              )}
            </li>
          );
        })}
      </ul>
    </>
  );
}
