package index

import "encoding/binary"

// proofVersion is the first byte of an encoded proof.
const proofVersion = 1

const (
	stepBytes  = 1 + len(Hash{})
	valueBytes = 8 + len(Hash{})
	// MaxProofBytes is the size of the largest encoded proof.
	MaxProofBytes = 1 + 2 + 1 + KeyBits*stepBytes + 1 + len(Key{}) + 2*len(Hash{})
)

// Append appends the encoding of the proof: the version, the terminal, the number of steps in 2 bytes, the steps (bit,
// sibling), and what belongs to the terminal: for TerminalKey the value (length in 8 bytes, root), for TerminalLeaf key
// and value, for TerminalInner bit, shared bits, left and right.
func (p *Proof) Append(b []byte) []byte {
	b = append(b, proofVersion, byte(p.Terminal))
	b = binary.BigEndian.AppendUint16(b, uint16(len(p.Steps))) // #nosec G115 -- at most KeyBits
	for _, s := range p.Steps {
		b = append(append(b, s.Bit), s.Sibling[:]...)
	}
	switch p.Terminal {
	case TerminalLeaf:
		b = append(b, p.Other[:]...)
		fallthrough
	case TerminalKey:
		b = append(binary.BigEndian.AppendUint64(b, p.Value.Count), p.Value.Root[:]...)
	case TerminalInner:
		b = append(append(b, p.Bit), p.Other[:]...)
		b = append(append(b, p.Left[:]...), p.Right[:]...)
	}
	return b
}

// ParseProof reads an encoded proof. There is one encoding of each proof, and nothing after it. What it returns is well
// formed: only a key and a root can make it fail.
func ParseProof(b []byte) (*Proof, error) {
	const header = 4
	if len(b) < header || len(b) > MaxProofBytes {
		return nil, malformed("got %d bytes, want %d to %d", len(b), header, MaxProofBytes)
	}
	if b[0] != proofVersion {
		return nil, malformed("version %d, want %d", b[0], proofVersion)
	}
	p := &Proof{Terminal: Terminal(b[1])}
	steps := int(binary.BigEndian.Uint16(b[2:]))
	if steps > KeyBits {
		return nil, malformed("%d steps, want at most %d", steps, KeyBits)
	}
	b = b[header:]
	rest, known := terminalBytes(p.Terminal)
	if !known {
		return nil, malformed("terminal %d, want 0 to %d", p.Terminal, TerminalInner)
	}
	if len(b) != steps*stepBytes+rest {
		return nil, malformed("got %d bytes after the header, want %d for %d steps and terminal %d", len(b), steps*stepBytes+rest,
			steps, p.Terminal)
	}
	if steps > 0 {
		p.Steps = make([]Step, steps)
	}
	for i := range p.Steps {
		p.Steps[i] = Step{Bit: b[0], Sibling: Hash(b[1:stepBytes])}
		b = b[stepBytes:]
	}
	p.parseTerminal(b)
	return p, p.checkForm()
}

// terminalBytes is the size of what belongs to a terminal.
func terminalBytes(t Terminal) (n int, known bool) {
	switch t {
	case TerminalEmpty:
		return 0, true
	case TerminalKey:
		return valueBytes, true
	case TerminalLeaf:
		return len(Key{}) + valueBytes, true
	case TerminalInner:
		return 1 + len(Key{}) + 2*len(Hash{}), true
	}
	return 0, false
}

// parseTerminal reads what belongs to the terminal; the length was checked.
func (p *Proof) parseTerminal(b []byte) {
	switch p.Terminal {
	case TerminalLeaf:
		p.Other, b = Key(b[:len(Key{})]), b[len(Key{}):]
		fallthrough
	case TerminalKey:
		p.Value = Value{Count: binary.BigEndian.Uint64(b), Root: Hash(b[8:valueBytes])}
	case TerminalInner:
		p.Bit, b = b[0], b[1:]
		p.Other, b = Key(b[:len(Key{})]), b[len(Key{}):]
		p.Left, p.Right = Hash(b[:len(Hash{})]), Hash(b[len(Hash{}):])
	}
}
