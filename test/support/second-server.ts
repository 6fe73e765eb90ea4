import { readConfiguration } from '../../src/config/configuration.js';
import { Jobs } from '../../src/jobs/jobs.js';
import { serve, type RunningApi } from '../../src/main.js';
import { TIME_LIMITS, type TimeLimits } from '../../src/api/protocol.js';
import { Log } from '../../src/telemetry/log.js';
import type { TestSystem } from './system.js';

/** What the production profile demands before it reads a setting; none of these places is touched. */
export const PRODUCTION = {
  CUSTODIA_PROFILE: 'production',
  DATABASE_URL: 'postgresql://owner@database/custodia',
  CUSTODIA_DATA_DIRECTORY: '/srv/data',
  CUSTODIA_KEY_DIRECTORY: '/srv/keys',
  CUSTODIA_CHECKPOINT_DIRECTORY: '/srv/checkpoints',
} as const;

/** Another server on the system's composition and a free port, with settings of its own and without the work of jobs. */
export function secondServer(
  { composition }: TestSystem,
  environment: Readonly<Record<string, string>>,
  limits: TimeLimits = TIME_LIMITS,
): Promise<RunningApi> {
  const configuration = readConfiguration({ CUSTODIA_PORT: '0', ...environment });
  const log = new Log('silent', { write: () => undefined });
  return serve(configuration, { ...composition, jobs: new IdleJobs() }, log, limits);
}

class IdleJobs extends Jobs {
  constructor() {
    super('', []);
  }

  override async start(): Promise<void> {}
}
