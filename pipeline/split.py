"""split: look at every image, set the unusable aside, and give each a split."""

from facetell.archive import open_archive
from facetell.files import whole, write_json
from facetell.layouts import rows
from facetell.manifest import build, summary
from pipeline.stage import params, run


def main() -> None:
    data = params()["data"]
    with open_archive(f"data/raw/{data['name']}.zip") as archive:
        table = rows(data["layout"], archive)
        manifest, aside = build(table, archive, **data["split"])
    with whole("data/manifest.parquet") as path:
        manifest.to_parquet(path, index=False)
    write_json("metrics/data.json", summary(manifest, aside))


if __name__ == "__main__":
    run(main)
