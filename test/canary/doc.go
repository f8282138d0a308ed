// Command canary puts texts that are nowhere else into every personal field of a
// thousand persons, forgets some of them, and then looks for what was theirs in every
// byte that is left.
//
//	go run ./test/canary
//
// Three NATS servers and the nodes of three namespaces run as processes: the views of one
// are in NATS, of the next in SQLite, of the third in PostgreSQL, and each person is
// known to all three. Commands of all kinds run, kept beside their events, while logs
// are at debug level; streams are archived, backups made. Then a share of the persons is
// forgotten while commands and questions go on, also about those; the keys are rotated,
// views are built anew, another backup is made, and the first one restored. Everything that can be asked is asked
// about the forgotten, and the answers are kept as files. At last all files are read:
// data of servers and nodes, databases and their logs of changes, backups, archives, logs,
// output, answers. Texts are looked for as they are, in UTF-16, base64 and hexadecimal, as lists of
// numbers, in the forms that numbers and bytes have, and inside what is compressed; the forgotten
// persons' keys, wrapped and not, are looked for as well.
//
// That the search finds something is tried four ways: in the answers and files before
// anybody is forgotten; in bytes that are planted, in each form and in each store; by the
// living, where they may be in plain; and, with -plant, in a view that copies a name and
// says that it does not. A run that misses any of the first three is INVALID.
//
// It ends with one line of JSON: {"subjects":1000,"forgotten":300,"hits":0,"alive":700,…}.
// The exit status is 1 if anything of a forgotten person was found, if one could not be
// forgotten, or if one of the others is not answered for in each namespace.
//
// It owns what it started and wrote, and ends nothing else. It never reads what it looks
// for from the system that is on trial, except keys, before they are given up.
package main
