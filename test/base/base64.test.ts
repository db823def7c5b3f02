import * as fc from 'fast-check'
import t from 'tap'
import * as b from '../../src/base/base64.ts'

t.test('bytes go there and back', async () => {
  fc.assert(
    fc.property(fc.uint8Array(), bytes => {
      const back = b.fromBase64(b.toBase64(bytes))
      return back !== undefined && back.join() === bytes.join()
    }),
  )
})

t.test('a view of a larger buffer is only itself', async t => {
  t.equal(b.toBase64(new Uint8Array([0, 1, 2, 3]).subarray(1, 3)), 'AQI=')
})

t.test('what is not base64 is refused', async t => {
  for (const text of ['A', 'AAA', 'AA=A', 'AAAA=', 'A-_A', 'AA AA', '=']) {
    t.equal(b.fromBase64(text), undefined, text)
    t.equal(b.base64ToText(text), undefined, text)
  }
  t.same(b.fromBase64(''), new Uint8Array())
})

t.test('text and uuids', async t => {
  t.equal(b.base64ToText(b.textToBase64('größer')), 'größer')
  const uuid = '123e4567-e89b-42d3-a456-426614174000'
  t.equal(b.uuidToBase64(uuid), 'Ej5FZ+ibQtOkVkJmFBdAAA==')
  t.equal(b.base64ToUuid(b.uuidToBase64(uuid)), uuid)
  t.equal(b.base64ToUuid('AAAA'), undefined)
})
