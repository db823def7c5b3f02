/** Why an operation does not apply to the registry as it is. Nothing was changed. */
export class RegistryError extends Error {
  override readonly name = 'RegistryError'
}
