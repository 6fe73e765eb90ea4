import { Appointment } from './appointment/appointment.js';
import { Attachment } from './attachment/attachment.js';
import { CareTeamAssignment } from './care-team/care-team-assignment.js';
import { CareTeam } from './care-team/care-team.js';
import { Consent } from './consent/consent.js';
import { Diagnosis } from './diagnosis/diagnosis.js';
import { AccountingRequest } from './disclosure/accounting-request.js';
import { AccountingSuspension } from './disclosure/accounting-suspension.js';
import { Disclosure } from './disclosure/disclosure.js';
import { ResearchProtocol } from './disclosure/research-protocol.js';
import { CompartmentGrant } from './compartment-grant/compartment-grant.js';
import { EmergencyAccess } from './emergency-access/emergency-access.js';
import { ConsentForm } from './informed-consent/consent-form.js';
import { InformedConsent } from './informed-consent/informed-consent.js';
import { Organization } from './organization/organization.js';
import { Patient } from './patient/patient.js';
import { Practitioner } from './practitioner/practitioner.js';
import { RelatedPerson } from './related-person/related-person.js';
import { Visit } from './visit/visit.js';

/** Every noun of the system. Importing this file fills the registry of fields; a class that is not here has no table. */
export const nouns = [
  Patient,
  Visit,
  Diagnosis,
  CareTeam,
  CareTeamAssignment,
  Practitioner,
  Organization,
  Consent,
  RelatedPerson,
  Appointment,
  ConsentForm,
  InformedConsent,
  Attachment,
  Disclosure,
  AccountingRequest,
  AccountingSuspension,
  ResearchProtocol,
  CompartmentGrant,
  EmergencyAccess,
];
