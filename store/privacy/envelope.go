package privacy

import (
	"encoding/binary"
	"fmt"

	"github.com/annals-go/annals/store"
)

// envelope is a sealed value as it is stored. What is needed to find its key stands in
// front of it, readable:
//
//	version 1 | key id, 16 bytes | uvarint length and subject | nonce, 12 bytes | ciphertext and tag
type envelope struct {
	ref    store.KeyRef
	sealed []byte // nonce, ciphertext and tag; a part of the stored bytes
}

const (
	envelopeVersion = 1
	nonceBytes      = 12
	tagBytes        = 16
)

// appendEnvelopeHead writes all that stands before the nonce.
func appendEnvelopeHead(b []byte, ref store.KeyRef) []byte {
	b = append(b, envelopeVersion)
	b = append(b, ref.ID[:]...)
	b = binary.AppendUvarint(b, uint64(len(ref.Subject)))
	return append(b, ref.Subject...)
}

// parseEnvelope reads one. The bytes may come from anywhere. Most often it is of the same
// subject as the last one was, whose name is then used again.
func parseEnvelope(data []byte, last string) (envelope, error) {
	var e envelope
	if len(data) < 1+len(e.ref.ID) {
		return e, fmt.Errorf("it is cut off")
	}
	if data[0] != envelopeVersion {
		return e, fmt.Errorf("it has version %d, which this build does not know", data[0])
	}
	copy(e.ref.ID[:], data[1:])
	rest := data[1+len(e.ref.ID):]
	n, read := binary.Uvarint(rest)
	if read <= 0 || read > 1 && rest[read-1] == 0 || n > uint64(len(rest)-read) {
		return e, fmt.Errorf("its subject is cut off")
	}
	rest = rest[read:]
	if e.ref.Subject, e.sealed = last, rest[n:]; string(rest[:n]) != last || last == "" {
		e.ref.Subject = string(rest[:n])
		if err := validateSubject(e.ref.Subject); err != nil {
			return envelope{}, err
		}
	}
	if len(e.sealed) < nonceBytes+tagBytes {
		return envelope{}, fmt.Errorf("its ciphertext is cut off")
	}
	return e, nil
}

// KeyOf names the key that a value is sealed under, as the envelope that [store.OpenSealed]
// gives says it: whoever made that could say anything. It needs no key. The error matches
// [store.ErrDamaged].
func KeyOf(envelope []byte) (store.KeyRef, error) {
	e, err := parseEnvelope(envelope, "")
	if err != nil {
		return store.KeyRef{}, &SealError{Reason: err.Error()}
	}
	return e.ref, nil
}

// validateSubject reports whether a text may be a data subject's id: what may be the
// id of a stream, for each subject has one that tells of its erasures.
func validateSubject(subject string) error {
	if _, err := store.EncodeToken(subject); err != nil {
		return fmt.Errorf("data subject: %w", err)
	}
	return nil
}

// validatePerson is validateSubject for one that may get a key, or be forgotten.
func validatePerson(subject string) error {
	if subject == WrappingSubject {
		return &store.InvalidError{What: "data subject", Value: subject, Reason: "it is the id of the wrapping key"}
	}
	return validateSubject(subject)
}
