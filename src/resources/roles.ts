// Role names: `*` is the default role; others are paths such as `eng/backend` (Mesos: docs/roles.md).

/** The role of frameworks that name none, and the "role" of what is not reserved. */
export const DEFAULT_ROLE = '*'

/** Horizontal tab to carriage return, space, delete. The text below says "backspace", as Mesos does. */
const INVALID_CHARACTERS = /[\t\n\v\f\r \x7f]/

/** Why `role` is no valid role name, in Mesos' words; undefined if it is one. */
export function validateRole(role: string): string | undefined {
  if (role === DEFAULT_ROLE) return undefined
  if (role.startsWith('/')) return `Role '${role}' cannot start with a slash`
  if (role.endsWith('/')) return `Role '${role}' cannot end with a slash`
  if (role.includes('//')) return `Role '${role}' cannot contain two adjacent slashes`
  if (role === '') return 'Role names cannot be the empty string'
  for (const component of role.split('/')) {
    if (component === '.' || component === '..' || component === '*') {
      return `Role '${role}' cannot include '${component}' as a component`
    }
    if (component.startsWith('-')) {
      return `Role component '${component}' is invalid because it starts with a dash`
    }
    if (INVALID_CHARACTERS.test(component)) {
      return `Role component '${component}' is invalid because it contains backspace or whitespace`
    }
  }
  return undefined
}

/** The first reason found among `roles`. */
export function validateRoles(roles: Iterable<string>): string | undefined {
  for (const role of roles) {
    const reason = validateRole(role)
    if (reason !== undefined) return reason
  }
  return undefined
}

/** Whether `role` is below `ancestor` in the hierarchy: `a/b` is below `a`, `a` and `ab` are not. */
export function isStrictSubrole(role: string, ancestor: string): boolean {
  return role.length > ancestor.length && role[ancestor.length] === '/' && role.startsWith(ancestor)
}
