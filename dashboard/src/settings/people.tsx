import { useEffect } from 'preact/hooks';
import { askForCompanyAccounts, companyAccounts, companySignIn } from '../session';
import { Copyable } from '../ui/copy';
import { admit, attempt, type Project } from './admin';
import { Form, Scopes, scopesOf, textOf, untilOf } from './fields';

/** Who comes in with the company's account. They stand among the keys: each is one whose text nobody has. */
export function People({ project }: { project: Project }) {
  useEffect(() => {
    void askForCompanyAccounts();
  }, []);
  if (!companyAccounts.value) {
    return (
      <p class="foot sub">
        People can sign in with the company’s account instead of a key, once the service trusts Cloudflare Access:
        docs/deploy.md says how.
      </p>
    );
  }
  return (
    <div class="foot">
      <h3>Let a person in</h3>
      <Form
        button="Let them in"
        send={async (form) => {
          const address = textOf(form, 'address');
          const body = { project_id: project.id, address, scopes: scopesOf(form), ...untilOf(form) };
          const done = await attempt(async () => {
            await admit(body);
            return true;
          }, `${address} can sign in.`);
          return done ?? false;
        }}
      >
        <label>
          <span>Address, or @domain for all of its people</span>
          <input name="address" required maxLength={254} placeholder="ada@example.com" />
        </label>
        <label>
          <span>Until (optional)</span>
          <input name="expires_at" type="date" />
        </label>
        <Scopes who="They" />
      </Form>
      <p class="sub">They sign in with the company’s account at</p>
      <Copyable label="the link" text={location.origin + companySignIn(project.id)} />
    </div>
  );
}
