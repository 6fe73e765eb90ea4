import { CareTeamAssignment } from './care-team/care-team-assignment.js';
import { CareTeam } from './care-team/care-team.js';
import { Diagnosis } from './diagnosis/diagnosis.js';
import { Organization } from './organization/organization.js';
import { Patient } from './patient/patient.js';
import { Practitioner } from './practitioner/practitioner.js';
import { Visit } from './visit/visit.js';

/** Every noun of the system. Importing this file fills the registry of fields; a class that is not here has no table. */
export const nouns = [Patient, Visit, Diagnosis, CareTeam, CareTeamAssignment, Practitioner, Organization];
