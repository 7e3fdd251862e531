"""From images to concentrations: reference tubes, calibration, aTSC maps, regions, image quality."""
