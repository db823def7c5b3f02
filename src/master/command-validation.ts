// Are commands, containers and checks well formed? The texts are Mesos' own (src/common/validation.cpp). Pure.

import type { CheckInfo, HealthCheck } from '../messages/check.ts'
import type { CommandInfo } from '../messages/command.ts'
import type { ContainerInfo } from '../messages/container.ts'
import type { Volume } from '../messages/volume.ts'

export function validateCommand({ environment }: CommandInfo): string | undefined {
  for (const { name, type = 'VALUE', value, secret } of environment?.variables ?? []) {
    const variable = `Environment variable '${name}' of type '${type}'`
    if (type === 'SECRET') {
      if (!secret) return `${variable} must have a secret set`
      if (value !== undefined) return `${variable} must not have a value set`
    } else {
      if (value === undefined) return `${variable} must have a value set`
      if (secret) return `${variable} must not have a secret set`
    }
  }
  return undefined
}

export function validateContainer({ type, volumes, docker }: ContainerInfo): string | undefined {
  for (const volume of volumes ?? []) {
    const invalid = validateVolume(volume)
    if (invalid !== undefined) return `Invalid volume: ${invalid}`
  }
  if (type !== 'DOCKER') return undefined
  if (!docker) return "DockerInfo 'docker' is not set for DOCKER typed ContainerInfo"
  return docker.parameters?.some(({ key }) => key === 'name')
    ? "Parameter in DockerInfo must not be 'name'"
    : undefined
}

function validateVolume({ host_path, image, source }: Volume): string | undefined {
  const given = [host_path, image, source].filter(part => part !== undefined)
  return given.length === 1
    ? undefined
    : "Only one of them should be set: 'host_path', 'image' and 'source'"
}

export function validateHealthCheck(check: HealthCheck): string | undefined {
  const { type, http } = check
  if (type === undefined) return "HealthCheck must specify 'type'"
  if (type === 'COMMAND') {
    const invalid = validateCheckCommand(check.command, 'health check', 'Health check')
    if (invalid !== undefined) return invalid
  } else if (type === 'HTTP') {
    if (!http) return "Expecting 'http' to be set for HTTP health check"
    if (http.scheme !== undefined && http.scheme !== 'http' && http.scheme !== 'https') {
      return `Unsupported HTTP health check scheme: '${http.scheme}'`
    }
    if (http.path !== undefined && !http.path.startsWith('/')) {
      return `The path '${http.path}' of HTTP health check must start with '/'`
    }
  } else if (!check.tcp) return "Expecting 'tcp' to be set for TCP health check"
  return validateTimes({
    delay_seconds: check.delay_seconds,
    grace_period_seconds: check.grace_period_seconds,
    interval_seconds: check.interval_seconds,
    timeout_seconds: check.timeout_seconds,
  })
}

export function validateCheck(check: CheckInfo): string | undefined {
  const { type, http } = check
  if (type === undefined) return "CheckInfo must specify 'type'"
  if (type === 'COMMAND') {
    const invalid = validateCheckCommand(check.command?.command, 'check', 'Check')
    if (invalid !== undefined) return invalid
  } else if (type === 'HTTP') {
    if (!http) return "Expecting 'http' to be set for HTTP check"
    if (http.path !== undefined && !http.path.startsWith('/')) {
      return `The path '${http.path}' of HTTP check must start with '/'`
    }
  } else if (!check.tcp) return "Expecting 'tcp' to be set for TCP check"
  return validateTimes({
    delay_seconds: check.delay_seconds,
    interval_seconds: check.interval_seconds,
    timeout_seconds: check.timeout_seconds,
  })
}

function validateCheckCommand(
  command: CommandInfo | undefined,
  what: string,
  subject: string,
): string | undefined {
  if (!command) return `Expecting 'command' to be set for COMMAND ${what}`
  if (command.value === undefined) {
    const missing = command.shell === false ? "'executable path'" : "'shell command'"
    return `Command ${what} must contain ${missing}`
  }
  const invalid = validateCommand(command)
  return invalid === undefined ? undefined : `${subject}'s \`CommandInfo\` is invalid: ${invalid}`
}

function validateTimes(times: Readonly<Record<string, number | undefined>>): string | undefined {
  for (const [name, value] of Object.entries(times)) {
    if (value !== undefined && value < 0) return `Expecting '${name}' to be non-negative`
  }
  return undefined
}
