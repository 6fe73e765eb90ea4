import { GrantableCompartment, GrantReason } from '../domain/compartment-grant/grant-compartment.js';
import type { Role } from '../kernel/actor.js';
import type { Tenant } from '../persistence/tenant.store.js';

export const DEMO_TENANTS: readonly Tenant[] = [
  { id: 'T-CN', name: '北京示范医院', country: 'CN', timeZone: 'Asia/Shanghai' },
  { id: 'T-US', name: 'Demonstration Hospital Boston', country: 'US', timeZone: 'America/New_York' },
  { id: 'T-EU', name: 'Demonstrationsklinik Berlin', country: 'DE', timeZone: 'Europe/Berlin' },
];

/** One account for each of these roles in each tenant. The patient is PT1, the guardian speaks for PT2. */
export const DEMO_ROLES: readonly Role[] = [
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
];

/** Accounts with a second factor: those of whom a policy demands one for something. */
export const DEMO_FACTOR_ROLES: readonly Role[] = ['privacy_officer', 'security_admin', 'patient', 'guardian'];

/** The one compartment that is granted in the demo organisation: to the physician of the third tenant, of the person with HIV. */
export const DEMO_GRANT = {
  tenant: 'T-EU',
  patient: 'PT7',
  input: { compartment: GrantableCompartment.HIV_STD, reasonCode: GrantReason.TREATING_TEAM },
  reason: 'Treats the patient in the clinic for infectious diseases',
} as const;

export interface DemoPatient {
  readonly key: string;
  readonly name: string;
  readonly gender: string;
  /** A fixed date, or an age in years that the patient has for at least six months more. */
  readonly born: string | number;
  readonly phone: string;
  readonly email: string;
  readonly address: string;
  readonly nationalId?: string;
  readonly insuranceNumber?: string;
  readonly notes?: string;
  readonly diagnosis?: { readonly code: string; readonly display: string };
  /** Treated by the ward: the physician and the nurse of the tenant see the patient. */
  readonly onWard: boolean;
  readonly visitsToday: boolean;
}

/** A word that occurs nowhere else: if it is found in a table, a file or a log, something leaked. */
export const CANARY = 'CANARY-9f3c';

/** PT1 to PT7: an adult with canaries, two minors, a deceased, a member of staff, a Part 2 record, a person with HIV. */
export function demoPatients(tenant: string): readonly DemoPatient[] {
  const [names, addresses] = LOCAL[tenant as keyof typeof LOCAL] ?? LOCAL['T-US'];
  const person = (index: number) => ({
    key: `PT${index + 1}`,
    name: names[index] ?? '',
    address: addresses[index % 3] ?? '',
  });
  return [
    {
      ...person(0),
      gender: 'male',
      born: '1949-12-31',
      phone: '13812345678',
      email: 'zhangsan@example.com',
      nationalId: '11010519491231002X',
      insuranceNumber: 'YB0012345678',
      notes: `${CANARY}: prefers calls in the morning`,
      diagnosis: { code: 'E11.9', display: `Type 2 diabetes mellitus ${CANARY}` },
      onWard: true,
      visitsToday: false,
    },
    { ...person(1), ...contact(1), gender: 'female', born: 13, onWard: true, visitsToday: true },
    { ...person(2), ...contact(2), gender: 'male', born: 16, onWard: true, visitsToday: false },
    { ...person(3), ...contact(3), gender: 'female', born: 93, onWard: false, visitsToday: false },
    { ...person(4), ...contact(4), gender: 'male', born: 45, onWard: false, visitsToday: true },
    {
      ...person(5),
      ...contact(5),
      gender: 'male',
      born: 38,
      diagnosis: { code: 'F11.2', display: 'Opioid dependence' },
      onWard: true,
      visitsToday: false,
    },
    {
      ...person(6),
      ...contact(6),
      gender: 'female',
      born: 51,
      diagnosis: { code: 'B20', display: 'HIV disease' },
      onWard: true,
      visitsToday: false,
    },
  ];
}

function contact(index: number) {
  return { phone: `1390000000${index}`, email: `pt${index + 1}@example.org` };
}

const LOCAL = {
  'T-CN': [
    ['王小明', '李思雨', '张子轩', '刘桂英', '欧阳娜娜', '陈志强', '赵敏'],
    ['北京市海淀区中关村大街1号', '上海市浦东新区世纪大道100号', '广东省深圳市南山区科技园路8号'],
  ],
  'T-US': [
    ['John Smith', 'Emma Garcia', 'Liam Johnson', 'Dorothy Miller', 'Robert Chen', 'James Brown', 'Maria Lopez'],
    ['1 Market Street, San Francisco CA 94105', '22 Beacon Street, Boston MA 02108', '5 Lake Road, Albany NY 12207'],
  ],
  'T-EU': [
    ['Anna Schmidt', 'Lea Wagner', 'Paul Becker', 'Ingrid Hoffmann', 'Max Fischer', 'Jonas Weber', 'Sophie Martin'],
    [
      'Unter den Linden 1, 10117 Berlin, Germany',
      'Marienplatz 8, 80331 München, Germany',
      '10 Rue de Rivoli, 75004 Paris, France',
    ],
  ],
} as const;
