package store

import "encoding/hex"

// KeyID names a key that personal data of one data subject are encrypted with. A
// subject that was forgotten and is seen again gets another one. The zero KeyID names none.
type KeyID [16]byte

// String prints the id in hexadecimal.
func (k KeyID) String() string { return hex.EncodeToString(k[:]) }

// KeyRef is a key and whose it is.
type KeyRef struct {
	// Subject is the data subject's id.
	Subject string
	// ID names the key.
	ID KeyID
}

// Personal marks a part of encoded data that is about a person: where it stands, and
// whose it is.
type Personal struct {
	// Path names the field, such as "applicant.phones[1]".
	Path string
	// Start and End bound the encoded value in the data: data[Start:End].
	Start, End int
	// Subject is the id of the person, the data subject. Empty: the id of the stream
	// or, in a document, its key.
	Subject string
	// Key is what the value was encrypted with where it was read; zero where it never was.
	Key KeyID
}
