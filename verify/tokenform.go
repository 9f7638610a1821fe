package verify

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
)

// A timestamp response is RFC 3161 around CMS (RFC 5652), and only part of it is
// signed. The libraries that verify it read BER leniently and skip what they do
// not need, so the same token can be written in many ways. Here it has to be
// DER, with the values that RFC 5652 and RFC 3161 prescribe in the places that
// nobody signs. What is left open is the certificates that come along: they are
// found by issuer and serial number and compared with the trusted root.

var (
	oidSignedData    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	oidTSTInfo       = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 4}
	oidContentType   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	oidMessageDigest = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
)

// maxDERDepth bounds the nesting of a token; real ones have about 16 levels.
const maxDERDepth = 32

// In each of the structures Extra takes what follows the known members, which
// encoding/asn1 would otherwise skip.

type timestampResponse struct {
	Status struct{ Status int }
	Token  asn1.RawValue
	Extra  asn1.RawValue `asn1:"optional"`
}

type contentInfo struct {
	Type    asn1.ObjectIdentifier
	Content signedData    `asn1:"explicit,tag:0"`
	Extra   asn1.RawValue `asn1:"optional"`
}

type signedData struct {
	Version          int
	DigestAlgorithms []pkix.AlgorithmIdentifier `asn1:"set"`
	Encapsulated     struct {
		Type    asn1.ObjectIdentifier
		Content []byte `asn1:"explicit,tag:0"`
	}
	Certificates asn1.RawValue `asn1:"optional,tag:0"`
	SignerInfos  []signerInfo  `asn1:"set"`
	Extra        asn1.RawValue `asn1:"optional"`
}

type signerInfo struct {
	Version            int
	SID                asn1.RawValue
	DigestAlgorithm    pkix.AlgorithmIdentifier
	SignedAttributes   asn1.RawValue `asn1:"tag:0"`
	SignatureAlgorithm pkix.AlgorithmIdentifier
	Signature          []byte
	Extra              asn1.RawValue `asn1:"optional"` // unsigned attributes, for one
}

type attribute struct {
	Type   asn1.ObjectIdentifier
	Values []asn1.RawValue `asn1:"set"`
	Extra  asn1.RawValue   `asn1:"optional"`
}

// unmarshalWhole reads DER that is one value and nothing after it.
func unmarshalWhole(der []byte, value any) error {
	rest, err := asn1.Unmarshal(der, value)
	if err == nil && len(rest) != 0 {
		return fmt.Errorf("%d bytes after it", len(rest))
	}
	return err
}

// checkTokenForm refuses a response that is not the one way to write it. It
// judges the form alone; signatures are verified elsewhere.
func checkTokenForm(response []byte) error {
	if err := checkDER(response, 0); err != nil {
		return err
	}
	var r timestampResponse
	if err := unmarshalWhole(response, &r); err != nil {
		return fmt.Errorf("not a timestamp response: %w", err)
	}
	// > When the status contains the value zero or one, a TimeStampToken MUST be present.
	// One is "granted with modifications", which avow's own requests never ask for.
	if r.Status.Status != 0 {
		return fmt.Errorf("status %d, want 0 (granted)", r.Status.Status)
	}
	var c contentInfo
	if err := unmarshalWhole(r.Token.FullBytes, &c); err != nil {
		return fmt.Errorf("not CMS signed data: %w", err)
	}
	switch s := c.Content; {
	case len(r.Extra.FullBytes)+len(c.Extra.FullBytes)+len(s.Extra.FullBytes) > 0:
		return errors.New("something beside the token that nobody signed")
	case !c.Type.Equal(oidSignedData):
		return fmt.Errorf("content type %s, want signed data", c.Type)
	case s.Version != 3: // RFC 5652, section 5.1: 3 for content other than data
		return fmt.Errorf("signed data version %d, want 3", s.Version)
	case !s.Encapsulated.Type.Equal(oidTSTInfo):
		return fmt.Errorf("encapsulated content type %s, want TSTInfo", s.Encapsulated.Type)
	case len(s.SignerInfos) != 1:
		// > The time-stamp token MUST NOT contain any signatures other than the signature of the TSA.
		return fmt.Errorf("%d signers, want exactly 1", len(s.SignerInfos))
	case len(s.DigestAlgorithms) != 1 ||
		!s.DigestAlgorithms[0].Algorithm.Equal(s.SignerInfos[0].DigestAlgorithm.Algorithm):
		return errors.New("the digest algorithms listed are not the signer's")
	default:
		return checkSignerInfo(s.SignerInfos[0])
	}
}

func checkSignerInfo(s signerInfo) error {
	if s.Version != 1 { // RFC 5652, section 5.3: 1 for issuer and serial number
		return fmt.Errorf("signer info version %d, want 1", s.Version)
	}
	if len(s.Extra.FullBytes) > 0 {
		return errors.New("an unsigned attribute")
	}
	seen := make(map[string]asn1.RawValue)
	for rest := s.SignedAttributes.Bytes; len(rest) > 0; {
		var a attribute
		var err error
		if rest, err = asn1.Unmarshal(rest, &a); err != nil {
			return fmt.Errorf("signed attribute: %w", err)
		}
		if _, twice := seen[a.Type.String()]; twice || len(a.Values) != 1 || len(a.Extra.FullBytes) > 0 {
			return fmt.Errorf("signed attribute %s does not have exactly one value", a.Type)
		}
		seen[a.Type.String()] = a.Values[0]
	}
	// > The message-digest attribute and the content-type attribute MUST be present.
	for _, mandatory := range []asn1.ObjectIdentifier{oidContentType, oidMessageDigest} {
		if _, ok := seen[mandatory.String()]; !ok {
			return fmt.Errorf("signed attribute %s is missing", mandatory)
		}
	}
	var contentType asn1.ObjectIdentifier
	if _, err := asn1.Unmarshal(seen[oidContentType.String()].FullBytes,
		&contentType); err != nil || !contentType.Equal(oidTSTInfo) {
		return fmt.Errorf("signed content type %s, want TSTInfo", contentType)
	}
	return nil
}

// checkDER walks the elements of an encoding: definite lengths in their
// shortest form, which fill their container exactly. It reads headers by itself,
// because encoding/asn1 reads each into a value by reflection: a token has a
// hundred.
func checkDER(data []byte, depth int) error {
	if depth > maxDERDepth {
		return fmt.Errorf("nested deeper than %d", maxDERDepth)
	}
	for len(data) > 0 {
		content, rest, ok := cutDER(data)
		if !ok {
			return errors.New("not DER: an element without a tag and a length in their shortest form, or cut off")
		}
		if compound := data[0]&0x20 != 0; compound {
			if err := checkDER(content, depth+1); err != nil {
				return err
			}
		}
		data = rest
	}
	return nil
}

// cutDER cuts the first element off. The tag is a single byte: none of the
// structures here has one above 30.
//
// > The length octets shall be the minimum number needed. (X.690, 10.1)
func cutDER(data []byte) (content, rest []byte, ok bool) {
	if len(data) < 2 || data[0]&0x1f == 0x1f {
		return nil, nil, false
	}
	length, header := int(data[1]), 2
	if length >= 0x80 {
		n := length - 0x80
		header += n
		if n == 0 || n > 3 || len(data) < header || data[2] == 0 {
			return nil, nil, false
		}
		length = 0
		for _, b := range data[2:header] {
			length = length<<8 | int(b)
		}
		if length < 0x80 {
			return nil, nil, false
		}
	}
	if len(data)-header < length {
		return nil, nil, false
	}
	return data[header : header+length], data[header+length:], true
}
