// @ts-nocheck: a browser's script, the compiler of the server knows no page.
// The access token lives in this closure only; the refresh token in a cookie that no script can read. What is typed into the
// editors is kept nowhere, because it may be a patient's.
(() => {
  const ENDPOINT = '/graphql';
  /** Not a secret: whether it is worth while to ask for a session after this tab was loaded again. */
  const SIGNED_IN = 'custodia-signed-in';
  const WELCOME = `# Sign in above, choose a purpose, then run this.
query FirstPatients {
  patients(first: 5) {
    totalCount
    edges { node { id name birthDate phone fieldAccess { field state mask } } }
  }
}
`;

  let accessToken = null;
  let refreshing = null;
  const signInForm = document.getElementById('sign-in');
  const sessionForm = document.getElementById('session');
  const problem = document.getElementById('problem');

  function sessionHeaders() {
    const { purpose, reason, emergency } = sessionForm.elements;
    return {
      ...(accessToken === null ? {} : { authorization: `Bearer ${accessToken}` }),
      ...(purpose.value === '' ? {} : { 'x-purpose-of-use': purpose.value }),
      ...(reason.value.trim() === '' ? {} : { 'x-reason': bytesOf(reason.value.trim()) }),
      ...(emergency.checked ? { 'x-break-glass': 'BTG' } : {}),
    };
  }

  /** A header is Latin-1 to the browser; the server reads its bytes as UTF-8. */
  function bytesOf(text) {
    return String.fromCharCode(...new TextEncoder().encode(text));
  }

  async function send(body, headers = {}) {
    const response = await fetch(ENDPOINT, {
      method: 'POST',
      credentials: 'same-origin',
      headers: { accept: 'application/json', 'content-type': 'application/json', ...sessionHeaders(), ...headers },
      body: JSON.stringify(body),
    });
    return response.json();
  }

  function isRefused(answer) {
    return answer.errors?.some((error) => error.extensions?.code === 'UNAUTHENTICATED') === true;
  }

  /** One refresh at a time: the token is good once, and a second use of it ends the session. */
  function refresh() {
    refreshing ??= send({ query: 'mutation Refresh { session: refresh { accessToken } }' })
      .then((answer) => {
        accessToken = answer.data?.session?.accessToken ?? null;
        return accessToken !== null;
      })
      .finally(() => (refreshing = null));
    return refreshing;
  }

  /** Sends a document; when the access token has ended, once more with a new one. */
  async function ask(body, headers) {
    const answer = await send(body, headers);
    if (accessToken === null || !isRefused(answer)) return answer;
    if (await refresh()) return send(body, headers);
    showSignedOut('The session has ended.');
    return answer;
  }

  async function showSignedIn() {
    const { data } = await ask({ query: 'query Me { me { tenant role purposes } }' });
    if (data?.me == null) return showSignedOut('The session has ended.');
    sessionStorage.setItem(SIGNED_IN, 'yes');
    document.getElementById('who').textContent = `${data.me.role} of ${data.me.tenant}`;
    sessionForm.elements.purpose.replaceChildren(...data.me.purposes.map((code) => new Option(code, code)));
    show(true, '');
  }

  function showSignedOut(why) {
    accessToken = null;
    sessionStorage.removeItem(SIGNED_IN);
    sessionForm.elements.purpose.replaceChildren();
    show(false, why);
  }

  function show(signedIn, why) {
    signInForm.hidden = signedIn;
    sessionForm.hidden = !signedIn;
    problem.textContent = why;
  }

  signInForm.addEventListener('submit', async (event) => {
    event.preventDefault();
    const { tenant, email, password, code } = signInForm.elements;
    const input = { tenant: tenant.value.trim(), email: email.value.trim(), password: password.value };
    if (code.value.trim() !== '') input.code = code.value.trim();
    const query = 'mutation SignIn($input: SignInInput!) { session: signIn(input: $input) { accessToken } }';
    const answer = await send({ query, variables: { input } });
    password.value = '';
    code.value = '';
    accessToken = answer.data?.session?.accessToken ?? null;
    if (accessToken === null) show(false, answer.errors?.[0]?.message ?? 'Signing in failed.');
    else await showSignedIn();
  });

  sessionForm.addEventListener('submit', async (event) => {
    event.preventDefault();
    await ask({ query: 'mutation SignOut { signOut }' });
    showSignedOut('');
  });

  /** GraphiQL keeps documents, variables and answers in the browser's storage unless it is given another. */
  function memory() {
    const items = new Map();
    return {
      get length() {
        return items.size;
      },
      getItem: (key) => items.get(key) ?? null,
      setItem: (key, value) => void items.set(key, value),
      removeItem: (key) => void items.delete(key),
      clear: () => items.clear(),
    };
  }

  const fetcher = ({ query, variables, operationName }, { headers } = {}) =>
    ask({ query, variables, operationName }, headers);
  const root = ReactDOM.createRoot(document.getElementById('graphiql'));
  const properties = { fetcher, storage: memory(), defaultQuery: WELCOME, shouldPersistHeaders: false };
  root.render(React.createElement(GraphiQL, properties));

  if (sessionStorage.getItem(SIGNED_IN) !== null) {
    void refresh().then((renewed) => (renewed ? showSignedIn() : showSignedOut('The session has ended.')));
  }
})();
