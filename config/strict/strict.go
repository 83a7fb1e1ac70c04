// Package strict reads a YAML file into a struct and forgives nothing: an unknown or
// repeated key, a wrong type, an unset variable, a missing file is reported with its
// line and path, all of them at once, as [Problems].
//
// A field's tags say all there is to know about a setting: yaml (its key), doc,
// default, example, enum, required, file (a path, which must exist), optional (a
// section that is left out when all its variables are unset) and print ("url": only a
// part of it is secret). A field of type [secret.Text] may also be given as <key>_file.
package strict
