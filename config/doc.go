// Package config reads the configuration of a gateway and its tenant files.
//
// The file is one struct, composed of each package's own Config. Reading is strict:
// an unknown key, a wrong type, a missing file, a weak or contradictory setting is
// reported with its line and path, all of them at once, as [Problems]. A profile is a
// set of defaults, and of settings it refuses.
//
// A field's tags say all there is to know about it: yaml (its key), doc, default,
// example, enum, required, file (a path, which must exist), optional (a section that
// is left out when all its variables are unset) and print ("url": only the password
// of it is secret). A field of type [secret.Text] may also be given as <key>_file.
package config
