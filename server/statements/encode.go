package statements

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"strings"
	"time"
)

const digestPrefix = "sha256:"

// digest is a SHA-256 value.
type digest [sha256.Size]byte

// id renders d as statement ids and key ids are written.
func (d digest) id() string { return digestPrefix + hex.EncodeToString(d[:]) }

// rowKey is what makes a row unique.
type rowKey struct{ statement, key digest }

func parseID(what, id string) (digest, error) {
	rest, ok := strings.CutPrefix(id, digestPrefix)
	if !ok {
		return digest{}, invalid("%s %q does not start with %q", what, clip(id), digestPrefix)
	}
	return parseHex(what, rest)
}

// parseHex reads 64 lower-case hex digits. Upper case is refused: a second
// spelling of one digest would be a second key.
func parseHex(what, s string) (digest, error) {
	var d digest
	if len(s) != 2*len(d) {
		return d, invalid("%s has %d hex digits, want %d", what, len(s), 2*len(d))
	}
	if _, err := hex.Decode(d[:], []byte(s)); err != nil || strings.ToLower(s) != s {
		return d, invalid("%s %q is not lower-case hex", what, s)
	}
	return d, nil
}

// castagnoli is the CRC with hardware support; it guards against rot, not against malice.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// rowSum folds numbers and byte strings, with their lengths, into a CRC-32C.
func rowSum(numbers []uint64, parts ...[]byte) uint32 {
	var buf [8]byte
	var sum uint32
	for _, n := range numbers {
		binary.LittleEndian.PutUint64(buf[:], n)
		sum = crc32.Update(sum, castagnoli, buf[:])
	}
	for _, p := range parts {
		binary.LittleEndian.PutUint64(buf[:], uint64(len(p)))
		sum = crc32.Update(sum, castagnoli, buf[:])
		sum = crc32.Update(sum, castagnoli, p)
	}
	return sum
}

// statementSum covers what was received: without a receipt it is what it was before there were any.
func statementSum(k rowKey, p *Pending, receipt []byte) uint32 {
	parts := [][]byte{k.statement[:], k.key[:], []byte(p.Vendor), []byte(p.Declaration), p.Envelope}
	if p.hasReceipt() {
		parts = append(parts, p.Certificate, receipt)
	}
	return rowSum([]uint64{micros(p.ReceivedAt), p.LogSize}, parts...)
}

func entrySum(k rowKey, logIndex uint64, committed time.Time, tokens, entry []byte) uint32 {
	return rowSum([]uint64{logIndex, micros(committed)}, k.statement[:], k.key[:], tokens, entry)
}

func micros(t time.Time) uint64 { return uint64(t.UnixMicro()) }

// appendParts encodes byte strings: their number, then each with its length.
func appendParts[T string | []byte](dst []byte, parts []T) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(parts)))
	for _, p := range parts {
		dst = binary.AppendUvarint(dst, uint64(len(p)))
		dst = append(dst, p...)
	}
	return dst
}

// readParts decodes what appendParts wrote, and returns the rest.
func readParts(src []byte) (parts [][]byte, rest []byte, err error) {
	count, src, err := readNumber(src)
	if err != nil {
		return nil, nil, err
	}
	for range count {
		var size uint64
		if size, src, err = readNumber(src); err != nil {
			return nil, nil, err
		}
		if size > uint64(len(src)) {
			return nil, nil, fmt.Errorf("part of %d bytes, %d left", size, len(src))
		}
		parts = append(parts, src[:size:size])
		src = src[size:]
	}
	return parts, src, nil
}

func readNumber(src []byte) (uint64, []byte, error) {
	n, size := binary.Uvarint(src)
	if size <= 0 {
		return 0, nil, fmt.Errorf("number cut short, %d bytes left", len(src))
	}
	return n, src[size:], nil
}

// encodeFacts packs subjects and products into the facts column.
func encodeFacts(subjects []digest, products []string) []byte {
	out := make([]byte, 0, 2+len(subjects)*len(digest{})+64*len(products))
	out = binary.AppendUvarint(out, uint64(len(subjects)))
	for i := range subjects {
		out = append(out, subjects[i][:]...)
	}
	return appendParts(out, products)
}

func decodeFacts(src []byte) (subjects []digest, products []string, err error) {
	count, src, err := readNumber(src)
	if err != nil {
		return nil, nil, err
	}
	if count > uint64(len(src)/len(digest{})) {
		return nil, nil, fmt.Errorf("%d digests in %d bytes", count, len(src))
	}
	subjects = make([]digest, count)
	for i := range subjects {
		src = src[copy(subjects[i][:], src):]
	}
	parts, rest, err := readParts(src)
	if err != nil {
		return nil, nil, err
	}
	if len(rest) != 0 {
		return nil, nil, fmt.Errorf("%d bytes after the products", len(rest))
	}
	for _, p := range parts {
		products = append(products, string(p))
	}
	return subjects, products, nil
}

func hexAll(ds []digest) []string {
	out := make([]string, len(ds))
	for i := range ds {
		out[i] = hex.EncodeToString(ds[i][:])
	}
	return out
}

// clip shortens a value for a message.
func clip(s string) string {
	if len(s) > 80 {
		return s[:77] + "..."
	}
	return s
}
