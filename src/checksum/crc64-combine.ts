/**
 * The CRC of two pieces from the CRCs of each: appending n bytes to a message multiplies its CRC by x^(8n) modulo the
 * polynomial. Polynomials are reflected here: the highest bit is x^0.
 */

const POLYNOMIAL = 0x9a6c9329ac4bc9b5n;
const ONE = 1n << 63n;
const X_TO_THE_8 = ONE >> 8n;

/** The CRC-64/NVME of A followed by B, from both CRCs and the length of B in bytes. */
export function combineCrc64(a: bigint, b: bigint, lengthOfB: bigint): bigint {
  if (lengthOfB < 0n) throw new RangeError(`a length can't be negative: ${lengthOfB}`);
  return multiply(powerOfX8(lengthOfB), a) ^ b;
}

// x^(8n) for the lengths in use: block sizes repeat for every block of a file.
const powers = new Map<bigint, bigint>();
const POWERS_KEPT = 64;

function powerOfX8(exponent: bigint): bigint {
  const known = powers.get(exponent);
  if (known !== undefined) return known;
  let result = ONE;
  let square = X_TO_THE_8;
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if ((rest & 1n) === 1n) result = multiply(result, square);
    square = multiply(square, square);
  }
  if (powers.size >= POWERS_KEPT) powers.clear();
  powers.set(exponent, result);
  return result;
}

function multiply(a: bigint, b: bigint): bigint {
  let product = 0n;
  let shifted = b;
  for (let bit = ONE; bit > 0n; bit >>= 1n) {
    if ((a & bit) !== 0n) product ^= shifted;
    shifted = (shifted & 1n) === 1n ? (shifted >> 1n) ^ POLYNOMIAL : shifted >> 1n;
  }
  return product;
}
