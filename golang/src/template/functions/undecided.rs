//! The functions that exist and are not evaluated: what they return depends on chance, on time, or
//! on a type that is not known here.

use super::Function;

pub(super) const FUNCTIONS: &[Function] = &[
    // Time.
    Function::undecided("ago"),
    Function::undecided("date"),
    Function::undecided("date_in_zone"),
    Function::undecided("date_modify"),
    Function::undecided("dateInZone"),
    Function::undecided("dateModify"),
    Function::undecided("duration"),
    Function::undecided("durationRound"),
    Function::undecided("htmlDate"),
    Function::undecided("htmlDateInZone"),
    Function::undecided("must_date_modify"),
    Function::undecided("mustDateModify"),
    Function::undecided("mustToDate"),
    Function::undecided("now"),
    Function::undecided("toDate"),
    Function::undecided("unixEpoch"),
    // Chance.
    Function::undecided("randAlpha"),
    Function::undecided("randAlphaNum"),
    Function::undecided("randAscii"),
    Function::undecided("randBytes"),
    Function::undecided("randInt"),
    Function::undecided("randNumeric"),
    Function::undecided("shuffle"),
    Function::undecided("uuidv4"),
    // Cryptography; most of it starts from chance too.
    Function::undecided("bcrypt"),
    Function::undecided("buildCustomCert"),
    Function::undecided("decryptAES"),
    Function::undecided("derivePassword"),
    Function::undecided("encryptAES"),
    Function::undecided("genCA"),
    Function::undecided("genCAWithKey"),
    Function::undecided("genPrivateKey"),
    Function::undecided("genSelfSignedCert"),
    Function::undecided("genSelfSignedCertWithKey"),
    Function::undecided("genSignedCert"),
    Function::undecided("genSignedCertWithKey"),
    Function::undecided("htpasswd"),
];
