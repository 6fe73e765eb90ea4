import { EntityManager } from '@mikro-orm/postgresql';
import { Args, Field, InputType, Int, Mutation, ObjectType, Query, Resolver } from '@nestjs/graphql';
import { Patient } from './patient.js';

@ObjectType()
class PageInfo {
  @Field(() => Boolean)
  hasNextPage: boolean;

  @Field(() => String, { nullable: true })
  endCursor: string | null;
}

@ObjectType()
class PatientEdge {
  @Field(() => Patient)
  node: Patient;
}

@ObjectType()
class PatientConnection {
  @Field(() => [PatientEdge])
  edges: PatientEdge[];

  @Field(() => PageInfo)
  pageInfo: PageInfo;
}

@InputType()
class CreatePatientInput {
  @Field(() => String)
  name: string;

  @Field(() => String, { nullable: true })
  gender?: string;

  @Field(() => String, { nullable: true })
  birthDate?: string;

  @Field(() => String, { nullable: true })
  phone?: string;

  @Field(() => String, { nullable: true })
  email?: string;

  @Field(() => String, { nullable: true })
  address?: string;

  @Field(() => String, { nullable: true })
  nationalId?: string;

  @Field(() => String, { nullable: true })
  insuranceNumber?: string;
}

/** What a team writes without a second thought: entities in, entities out, a fork of the entity manager for each request. */
@Resolver(() => Patient)
export class PatientResolver {
  constructor(private readonly entityManager: EntityManager) {}

  @Query(() => PatientConnection)
  async patients(
    @Args('first', { type: () => Int, defaultValue: 20 }) first: number,
    @Args('after', { type: () => String, nullable: true }) after: string | null,
  ): Promise<PatientConnection> {
    const rows = await this.entityManager.fork().find(Patient, after ? olderThan(after) : {}, {
      orderBy: { createdAt: 'desc', id: 'desc' },
      limit: first + 1,
    });
    const page = rows.slice(0, first);
    const last = page.at(-1);
    return {
      edges: page.map((node) => ({ node })),
      pageInfo: { hasNextPage: rows.length > first, endCursor: last === undefined ? null : cursorOf(last) },
    };
  }

  @Mutation(() => Patient)
  async createPatient(@Args('input') input: CreatePatientInput): Promise<Patient> {
    const entityManager = this.entityManager.fork();
    const patient = Object.assign(new Patient(), input);
    patient.birthYear = input.birthDate === undefined ? null : Number(input.birthDate.slice(0, 4));
    entityManager.persist(patient);
    await entityManager.flush();
    return patient;
  }
}

function cursorOf(patient: Patient): string {
  return Buffer.from(JSON.stringify([patient.createdAt, patient.id])).toString('base64url');
}

/** The first condition says nothing new, but lets PostgreSQL begin at the right place of the index. */
function olderThan(cursor: string) {
  const [text, id] = JSON.parse(Buffer.from(cursor, 'base64url').toString()) as [string, string];
  const createdAt = new Date(text);
  return { createdAt: { $lte: createdAt }, $or: [{ createdAt: { $lt: createdAt } }, { id: { $lt: id } }] };
}
