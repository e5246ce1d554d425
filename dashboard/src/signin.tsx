import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { Failure, said } from './api/client';
import { askForCompanyAccounts, companyAccounts, companySignIn, farewell, localDemoKey, signIn } from './session';
import { Heading } from './ui/heading';

export function SignInPage() {
  const problem = useSignal<string | null>(null);
  const busy = useSignal(false);
  const demo = useSignal<string | null>(null);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    void askForCompanyAccounts();
    void localDemoKey().then((key) => {
      demo.value = key;
    });
  }, []);

  const enter = async (key: string) => {
    if (busy.peek() || key === '') return;
    busy.value = true;
    problem.value = null;
    try {
      await signIn(key);
    } catch (error) {
      const wrong = error instanceof Failure && error.status === 401;
      problem.value = wrong
        ? 'No such key, or one that was revoked or has expired. Check that you copied all of it.'
        : said(error);
      field.current?.select();
    } finally {
      busy.value = false;
    }
  };

  return (
    <main class="door">
      <div class="card">
        <Heading title="Sign in">
          <i class="mark" /> estop
        </Heading>
        <p class="soft">See every test run live, stop it, and know who stopped what.</p>
        {farewell.value && (
          <p class="problem" role="status">
            {farewell.value}
          </p>
        )}
        {companyAccounts.value && (
          <p>
            <button type="button" class="primary wide" onClick={() => location.assign(companySignIn())}>
              Sign in with your company account
            </button>
          </p>
        )}
        <form
          onSubmit={(event) => {
            event.preventDefault();
            void enter(field.current?.value.trim() ?? '');
          }}
        >
          <label>
            <span>Key</span>
            <input
              ref={field}
              name="key"
              type="password"
              autocomplete="current-password"
              spellcheck={false}
              required
              placeholder="estop_…"
              aria-invalid={problem.value !== null}
              aria-describedby={problem.value ? 'wrong' : undefined}
            />
          </label>
          {problem.value && (
            <p id="wrong" class="problem" role="alert">
              {problem.value}
            </p>
          )}
          <button type="submit" class={companyAccounts.value ? '' : 'primary'} aria-disabled={busy.value}>
            {busy.value ? 'Signing in…' : 'Sign in'}
          </button>
        </form>
        {demo.value && (
          <p class="demo">
            <button type="button" onClick={() => void enter(demo.value ?? '')}>
              Sign in with the demo key
            </button>
            <span class="sub">
              This is a local service: <code>{demo.value}</code>
            </span>
          </p>
        )}
        <p class="sub">
          The key stays in a cookie that no script can read, for 12 hours. An admin makes keys in Settings, or with{' '}
          <code>estop keys create</code>.
        </p>
      </div>
    </main>
  );
}
