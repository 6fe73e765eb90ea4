/** The role codes of the public contract, and those of machines. A role that is not here does not exist. */
export const ROLES = [
  'physician',
  'nurse',
  'front_desk',
  'call_center_agent',
  'marketer',
  'complaint_handler',
  'researcher',
  'billing',
  'department_head',
  'auditor',
  'privacy_officer',
  'security_admin',
  'integrator',
  'patient',
  'guardian',
  'reminder_service',
] as const;
export type Role = (typeof ROLES)[number];

/** Who acts. Built by identity from a live session on every request; roles are looked up, never carried in a token. */
export interface Actor {
  /** Account id (UUID). */
  readonly id: string;
  /** Tenant code, such as `T-CN`. */
  readonly tenant: string;
  readonly role: Role;
  readonly sessionId: string;
  /** Random 128-bit hexadecimal reference: the actor's name in the ledger. */
  readonly reference: string;
  /** Care teams of which the account is a member now. */
  readonly careTeamIds: readonly string[];
  /** Patients for whom the account may speak now: oneself, or those whose guardian one is. Empty for staff. */
  readonly patientIds: readonly string[];
  /**
   * Patients to whom the account has an open emergency access. Empty unless the request says that it is made under one: see
   * `underEmergency` of the identity room.
   */
  readonly emergencyPatientIds: readonly string[];
  /**
   * Special compartments of patients that the account was granted and that are in force now: `<patient uuid>:<label>`, with
   * `:<visit uuid>` for what is of one visit alone.
   */
  readonly compartmentGrants: readonly string[];
  /** True where the tenant demands a second factor of this role and the session was started without one. */
  readonly factorMissing: boolean;
  /**
   * How the session was authenticated, in the values of RFC 8176: `pwd`, or `pwd+otp` where a second factor was shown in it.
   * Absent for machines and for work that goes on after its request.
   */
  readonly acr?: 'pwd' | 'pwd+otp';
  /** ISO 3166-1 alpha-2 country of the tenant: how a national phone number is read. */
  readonly country: string;
  /** IANA time zone of the tenant: what "today" means in a policy. */
  readonly timeZone: string;
}

/** What came with the request beside the document: nothing in here was checked against a policy yet. */
export interface RequestFacts {
  /** `X-Request-Id`, or a new id. */
  readonly requestId: string;
  /** `X-Purpose-Of-Use`, verbatim. */
  readonly purpose: string | null;
  /** `X-Reason`, verbatim. Never logged. */
  readonly reason: string | null;
  /** `Idempotency-Key`, verbatim. */
  readonly idempotencyKey: string | null;
  /** True where `X-Break-Glass: BTG` was sent. Absent: false. */
  readonly breakGlass?: boolean;
  /**
   * Address of the peer; null for commands and jobs. Personal data: it may reach the rate limits and the sealed details of
   * the ledger, never a log.
   */
  readonly clientAddress: string | null;
}
