// Executors of frameworks: off the books, and the messages to and from them. Onto the books they come with a launch
// (accept.ts) or with their agent (adoption.ts).

import type { ExecutorMessage, ExitedExecutor } from '../messages/agent-registration.ts'
import type { CallOf } from '../messages/scheduler-api.ts'
import type { MasterContext } from './context.ts'
import type { AgentRecord, FrameworkRecord } from './state.ts'

/** From an agent: a custom executor has ended. What it held is free, and its scheduler is told. */
export function exitedExecutor(
  m: MasterContext,
  agent: AgentRecord,
  { framework_id, executor_id, status, launched_for }: ExitedExecutor,
): void {
  const framework = m.state.frameworks.get(framework_id.value)
  if (!framework) return
  const executorId = executor_id.value
  // The end of an earlier one may be told late: it ended while the agent was away, and the next one was launched as soon as
  // the agent was back.
  const known = framework.executors.get(agent.id)?.get(executorId)
  // Told twice, or off the books for another reason: its scheduler has heard of it.
  if (!known) return
  const { launchedFor } = known
  if (launchedFor !== undefined && launched_for && launched_for.value !== launchedFor) return
  removeExecutor(m, framework, agent.id, executorId)
  m.tellFramework(framework, {
    type: 'FAILURE',
    failure: { agent_id: { value: agent.id }, executor_id: { value: executorId }, status },
  })
}

export function removeExecutor(
  m: MasterContext,
  framework: FrameworkRecord,
  agentId: string,
  executorId: string,
): void {
  const executors = framework.executors.get(agentId)
  const executor = executors?.get(executorId)
  if (!executors || !executor) return
  executors.delete(executorId)
  if (executors.size === 0) framework.executors.delete(agentId)
  m.allocator.recover(framework.id, agentId, executor.role, executor.resources)
  m.allocateSoon()
  m.changed()
}

/** From an agent: an executor's bytes for its scheduler. */
export function executorMessage(m: MasterContext, message: ExecutorMessage): void {
  const framework = m.state.frameworks.get(message.framework_id.value)
  if (!framework) return m.metrics.count('invalid_executor_to_framework_messages')
  m.metrics.count('valid_executor_to_framework_messages')
  const { agent_id, executor_id, data } = message
  m.tellFramework(framework, { type: 'MESSAGE', message: { agent_id, executor_id, data } })
}

/** MESSAGE: a scheduler's bytes for an executor. */
export function frameworkMessage(
  m: MasterContext,
  framework: FrameworkRecord,
  { agent_id, executor_id, data }: CallOf<'MESSAGE'>['message'],
): void {
  const agent = m.state.agents.get(agent_id.value)
  if (!agent?.connected) return m.metrics.count('invalid_framework_to_executor_messages')
  m.metrics.count('valid_framework_to_executor_messages')
  m.tellAgent(agent, 'framework_message', {
    agent_id,
    framework_id: { value: framework.id },
    executor_id,
    data,
  })
}

/** SHUTDOWN: a scheduler wants one of its executors ended. */
export function shutdownExecutor(
  m: MasterContext,
  framework: FrameworkRecord,
  { agent_id, executor_id }: CallOf<'SHUTDOWN'>['shutdown'],
): void {
  const agent = m.state.agents.get(agent_id.value)
  if (!agent?.connected) return
  m.tellAgent(agent, 'shutdown_executor', { framework_id: { value: framework.id }, executor_id })
}
