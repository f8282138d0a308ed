package console

import "github.com/dustin/go-humanize"

// Plural is a number of things that take an s, such as "1 view" and "2,000 events".
func Plural[N int | int64 | uint64](n N, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return humanize.Comma(int64(n)) + " " + thing + "s"
}
